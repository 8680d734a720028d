/**
 * One key for one intent. A request whose answer got lost is sent again with the same key, and the server does it once;
 * an answer, whatever it says, ends the intent. So does time: who asks for a pause an hour later means another pause.
 */
import { ApiError } from "../api/client";

const STANDS = 120_000; // milliseconds

export const newKey = (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether it is not known if the server did it. Who was not let in was not heard either, and may log in and ask again. */
export function unanswered(problem: unknown): boolean {
  const status = problem instanceof ApiError ? problem.status : 0;
  return status === 0 || status >= 500 || status === 401 || status === 403;
}

export class Intents {
  private readonly open = new Map<string, { key: string; since: number }>();

  constructor(private readonly now: () => number = Date.now) {}

  /** Ask with the key that belongs to this body. */
  async ask<Body extends object, Answer>(body: Body, send: (body: Body & { key: string }) => Promise<Answer>): Promise<Answer> {
    const what = JSON.stringify(body);
    const known = this.open.get(what);
    const { key } = known && this.now() - known.since < STANDS ? known : this.begin(what);
    try {
      const answer = await send({ ...body, key });
      this.end(what, key);
      return answer;
    } catch (problem) {
      if (!unanswered(problem)) this.end(what, key);
      throw problem;
    }
  }

  private begin(what: string) {
    const intent = { key: newKey(), since: this.now() };
    this.open.set(what, intent);
    return intent;
  }

  private end(what: string, key: string): void {
    if (this.open.get(what)?.key === key) this.open.delete(what);
  }
}
