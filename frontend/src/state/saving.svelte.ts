/** A form on its way to the server: whether it is, and what was said against it, of one of its fields or of the whole. */
import { ApiError, messageOf } from "../api/client";

export class Saving {
  busy = $state(false);
  problem = $state(""); // what is said of no field that the form shows
  private refused = $state.raw<ApiError | null>(null);
  private readonly shown: readonly string[];

  /** `shown`: the fields beside which the form tells what was said of them. */
  constructor(...shown: string[]) {
    this.shown = shown;
  }

  /** Whether it was saved. What goes wrong is told by `problem` and `of`, and raises nothing. */
  run = async (work: () => Promise<unknown>): Promise<boolean> => {
    this.busy = true;
    this.refuse("");
    try {
      await work();
      return true;
    } catch (error) {
      const fields = error instanceof ApiError ? Object.keys(error.fields) : [];
      if (error instanceof ApiError) this.refused = error;
      // What no field of the form could tell would be lost.
      if (!fields.length || fields.some((field) => !this.shown.includes(field))) this.problem = messageOf(error);
      return false;
    } finally {
      this.busy = false;
    }
  };

  /** Refused before it was sent; "" takes back what was said. */
  refuse(problem: string): void {
    [this.problem, this.refused] = [problem, null];
  }

  /** What was said of a field, or "". */
  of(field: string): string {
    return this.refused?.field(field) ?? "";
  }
}
