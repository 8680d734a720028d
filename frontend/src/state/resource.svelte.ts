/** Something read from the server, read again when told to; the newest question wins. */
import { untrack } from "svelte";
import { ApiError, isAbort, messageOf } from "../api/client";

export class Resource<T> {
  data = $state.raw<T | undefined>(undefined);
  error = $state("");
  status = $state(200);
  loading = $state(false);
  private controller: AbortController | null = null;
  private timer = 0;

  constructor(private read: (signal: AbortSignal) => Promise<T>) {}

  /** Read now. What is on screen stays until the answer is there. */
  async load(): Promise<void> {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    this.loading = true;
    try {
      // An effect that loads runs again for its own reasons, not for what the question happened to read.
      const data = await untrack(() => this.read(controller.signal));
      if (this.controller !== controller) return;
      this.data = data;
      this.error = "";
      this.status = 200;
    } catch (error) {
      if (isAbort(error) || this.controller !== controller) return;
      // That the line is down is said once, in the corner: a box above what is read would move it with each look.
      if (error instanceof ApiError && error.status === 0 && this.data !== undefined) return;
      this.error = messageOf(error);
      this.status = error instanceof ApiError ? error.status : 0;
    } finally {
      if (this.controller === controller) this.loading = false;
    }
  }

  /** Read soon: many calls within `milliseconds` become one. */
  soon(milliseconds = 300): void {
    if (!this.timer) this.timer = window.setTimeout(() => void this.load(), milliseconds);
  }

  stop(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.controller?.abort();
    this.controller = null;
  }
}
