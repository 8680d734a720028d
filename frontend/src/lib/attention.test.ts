import { expect, it } from "vitest";
import { needOf } from "./attention";

it.each([
  ["diverged: train/loss is broken since step 1234", "train/loss is broken since step 1,234", "charts"],
  ["waits for your answer: loss rose; lower lr.", "waits for your answer: loss rose; lower lr.", "decisions"],
  ["failed", "It ended with an error", "events"],
  ["silent", "Nothing has been heard of it for a while", "logs"],
  ["something new", "something new", "charts"],
])("says why a run needs a person: %s", (attention, words, tab) => expect(needOf(attention)).toEqual({ words, tab }));
