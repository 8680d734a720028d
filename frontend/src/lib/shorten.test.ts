import { expect, it } from "vitest";
import { halves } from "./shorten";

it.each([
  ["bold-otter", "bold-otter", ""],
  ["width 128, rate 0.02", "width 128, ", "rate 0.02"],
  ["sixteen GPUs on one host", "sixteen GPUs ", "on one host"],
  ["resnet50-imagenet-lr0.1-seed7", "resnet50-imagenet-", "lr0.1-seed7"],
  ["a".repeat(30), "a".repeat(16), "a".repeat(14)],
])("cuts %s where a word begins", (name, head, tail) => expect(halves(name)).toEqual([head, tail]));
