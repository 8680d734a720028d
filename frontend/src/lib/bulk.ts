/** The same request for many runs: a few at a time, and in the end a sentence that hides no failure. */
import { messageOf } from "../api/client";

export interface Outcome {
  done: number;
  failures: { name: string; message: string }[];
}

export async function forEach<T extends { name: string }>(things: T[], act: (thing: T) => Promise<unknown>, atOnce = 4): Promise<Outcome> {
  const outcome: Outcome = { done: 0, failures: [] };
  const waiting = [...things];
  const worker = async () => {
    for (let thing = waiting.shift(); thing; thing = waiting.shift()) {
      try {
        await act(thing);
        outcome.done += 1;
      } catch (problem) {
        outcome.failures.push({ name: thing.name, message: messageOf(problem) });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return outcome;
}

/** "3 runs were stopped. Not “slow”: it is finished. And 2 more." */
export function say({ done, failures }: Outcome, did: string): string {
  const whole = done === 1 ? `1 run was ${did}.` : `${done} runs were ${did}.`;
  if (!failures.length) return whole;
  const [first, ...more] = failures;
  return [whole, `Not “${first.name}”: ${first.message}`, more.length ? `And ${more.length} more.` : ""].filter(Boolean).join(" ");
}
