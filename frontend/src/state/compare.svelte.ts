/** The runs side by side on the page that compares. */
import * as api from "../api";
import { messageOf } from "../api/client";
import type { Run } from "../api/types";

export class CompareState {
  runs = $state.raw<ReadonlyMap<string, Run>>(new Map());
  problems = $state.raw<ReadonlyMap<string, string>>(new Map());
  private stopped = false;
  private asked = new Set<string>();

  /** Read the runs that are not here yet; one that cannot be read says why and does not spoil the others. */
  async load(codes: string[]): Promise<void> {
    const fresh = codes.filter((code) => !this.asked.has(code));
    for (const code of fresh) this.asked.add(code);
    await Promise.all(
      fresh.map(async (code) => {
        try {
          const run = await api.run(code);
          if (!this.stopped) this.runs = new Map(this.runs).set(code, run);
        } catch (error) {
          if (!this.stopped) this.problems = new Map(this.problems).set(code, messageOf(error));
        }
      }),
    );
    // What is no longer asked about is no longer complained about.
    if (!this.stopped) this.problems = new Map([...this.problems].filter(([code]) => codes.includes(code)));
  }

  stop(): void {
    this.stopped = true;
  }
}
