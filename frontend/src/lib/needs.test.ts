import { expect, it } from "vitest";
import { runsUntold, wordsAbout, type RunInNeed } from "./needs";

it("tells a run once that an alert tells of already", () => {
  const runs = [{ code: "a" }, { code: "b" }, { code: "c", attention: "diverged: loss is broken since step 9" }] as RunInNeed[];
  expect(runsUntold(runs, [{ run: "b" }, { run: "" }, { run: "c" }]).map((run) => run.code)).toEqual(["a", "c"]);
});

it("takes the notices' word for what still waits for an answer", () => {
  const runs = [{ code: "a", attention: "waits for your answer: The loss stands still." }, { code: "b", attention: "silent" }] as RunInNeed[];
  expect(runsUntold(runs, []).map((run) => run.code)).toEqual(["b"]);
  expect(runsUntold(runs, null).map((run) => run.code), "where they cannot be read").toEqual(["a", "b"]);
});

it.each([
  ["gpu-03: not heard of for 60 s", "gpu-03", "not heard of for 60 s"],
  ["the loss is NaN", "bold-otter", "the loss is NaN"],
  [": odd", "", ": odd"],
])("says %s of its subject without the subject", (text, subject, words) => expect(wordsAbout(text, subject)).toBe(words));
