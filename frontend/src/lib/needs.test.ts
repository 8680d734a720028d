import { expect, it } from "vitest";
import { runsUntold, wordsAbout, type RunInNeed } from "./needs";

it("tells a run once that an alert tells of already", () => {
  const runs = [{ code: "a" }, { code: "b" }, { code: "c", attention: "diverged: loss is broken since step 9" }] as RunInNeed[];
  expect(runsUntold(runs, [{ run: "b" }, { run: "" }, { run: "c" }]).map((run) => run.code)).toEqual(["a", "c"]);
});

it.each([
  ["gpu-03: not heard of for 60 s", "gpu-03", "not heard of for 60 s"],
  ["the loss is NaN", "bold-otter", "the loss is NaN"],
  [": odd", "", ": odd"],
])("says %s of its subject without the subject", (text, subject, words) => expect(wordsAbout(text, subject)).toBe(words));
