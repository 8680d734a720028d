import { expect, it } from "vitest";
import { readTags } from "./tags";

it.each([
  ["", []],
  [" , ", []],
  ["a, b ,a", ["a", "b"]],
  ["two words,日本", ["two words", "日本"]],
])("reads %j as %j", (text, tags) => expect(readTags(text)).toEqual(tags));
