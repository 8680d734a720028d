/** Parts of a page that are fetched when they are wanted, or near to be: each once, and again where the server was away. */
import type { Component } from "svelte";

// Types of their properties are checked where the table of parts stands.
type Loader<P extends Record<string, unknown>> = () => Promise<{ default: Component<P> }>;

const QUIET = 3000; // milliseconds after which what was not asked for yet may come too

export class Parts<P extends Record<string, unknown>> {
  /** What is here, by name. */
  here = $state.raw<Record<string, Component<P>>>({});
  failed = $state("");
  private asked = new Map<string, Promise<void>>();
  private idle = 0;

  constructor(private readonly loaders: Record<string, Loader<P>>) {}

  want(name: string): Promise<void> {
    const loader = this.loaders[name];
    if (!loader) return Promise.resolve();
    const asked = this.asked.get(name) ?? this.fetch(name, loader);
    this.asked.set(name, asked);
    return asked;
  }

  /** Once the page is quiet the rest comes, one after the other: then a tab opens also while the server is away. */
  rest(): () => void {
    const { connection } = navigator as { connection?: { saveData?: boolean } };
    if (connection?.saveData) return () => {};
    this.idle = window.setTimeout(() => void this.all(), QUIET);
    return () => window.clearTimeout(this.idle);
  }

  private async all(): Promise<void> {
    for (const name of Object.keys(this.loaders)) await this.want(name);
  }

  private async fetch(name: string, loader: Loader<P>): Promise<void> {
    try {
      const { default: part } = await loader();
      this.here = { ...this.here, [name]: part };
      if (this.failed === name) this.failed = "";
    } catch {
      this.asked.delete(name);
      this.failed = name;
    }
  }
}
