import { expect, it } from "vitest";
import { joinWords, shortCommand, splitWords } from "./words";

it.each([
  ["python train.py --lr 1e-3", ["python", "train.py", "--lr", "1e-3"]],
  ['python "my file.py" \'a b\'', ["python", "my file.py", "a b"]],
  ["a\\ b ''", ["a b", ""]],
  ["python \\\n  train.py", ["python", "train.py"]],
  ["echo $HOME; rm -rf /", ["echo", "$HOME;", "rm", "-rf", "/"]],
  ["  ", []],
])("%j", (text, words) => expect(splitWords(text)).toEqual({ words, error: "" }));

it("says which quote is open", () => expect(splitWords("python 'train").error).toBe("a ' is not closed"));

it.each([[["python", "a b", "", "it's", "x=1", "$HOME"]], [["*", "\n"]]])("reads back what it wrote: %j", (words) =>
  expect(splitWords(joinWords(words)).words).toEqual(words));

it("names a program without its place", () =>
  expect(shortCommand(["/opt/env/bin/python", "-m", "a.b", "/data/x"])).toBe("python -m a.b /data/x"));
