/** A form on its way to the server: whether it is, and what was said against it, of one of its fields or of the whole. */
import { ApiError, messageOf } from "../api/client";

export class Saving {
  busy = $state(false);
  problem = $state(""); // what is said of no field
  private refused = $state.raw<ApiError | null>(null);

  /** Whether it was saved. What goes wrong is told by `problem` and `of`, and raises nothing. */
  run = async (work: () => Promise<unknown>): Promise<boolean> => {
    this.busy = true;
    this.refuse("");
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof ApiError && Object.keys(error.fields).length) this.refused = error;
      else this.problem = messageOf(error);
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
