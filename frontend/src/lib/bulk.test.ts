import { expect, it } from "vitest";
import { forEach, say } from "./bulk";

const runs = ["a", "b", "c", "d", "e"].map((name) => ({ name }));

it("asks for each once, never for more at a time than told, and names what failed", async () => {
  const asked: string[] = [];
  let open = 0;
  let most = 0;
  const outcome = await forEach(runs, async ({ name }) => {
    asked.push(name);
    most = Math.max(most, (open += 1));
    await Promise.resolve();
    open -= 1;
    if (name === "c") throw new Error("it is finished");
  }, 2);
  expect([asked.sort(), most, outcome.done]).toEqual([["a", "b", "c", "d", "e"], 2, 4]);
  expect(say(outcome, "stopped")).toContain("4 runs were stopped. Not “c”:");
});

it.each([
  [{ done: 1, failures: [] }, "1 run was deleted."],
  [{ done: 0, failures: [{ name: "x", message: "no." }, { name: "y", message: "no." }] }, "0 runs were deleted. Not “x”: no. And 1 more."],
])("says %j", (outcome, sentence) => expect(say(outcome, "deleted")).toBe(sentence));
