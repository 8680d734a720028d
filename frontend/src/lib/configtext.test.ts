import { expect, it } from "vitest";
import { commandLine, quoted, settingLines, unfolded, yaml } from "./configtext";

const config = { lr: 0.1, model: { depth: 4, name: "vit" }, sizes: [1, 2] };

it("draws a tree in the order written, each branch with how much is below it", () => {
  expect(settingLines(config).map(({ path, depth, leaf, leaves, change }) => [path, depth, leaf, leaves, change])).toEqual([
    ["lr", 0, true, 1, "same"], ["model", 0, false, 2, "same"], ["model.depth", 1, true, 1, "same"], ["model.name", 1, true, 1, "same"], ["sizes", 0, true, 1, "same"],
  ]);
});

it("says what was added, removed and changed against another run", () => {
  const lines = settingLines(config, { lr: 0.2, model: { depth: 4, heads: 8 }, sizes: [1, 2] });
  expect(Object.fromEntries(lines.map((line) => [line.path, line.change]))).toEqual({
    lr: "changed", model: "changed", "model.depth": "same", "model.name": "added", "model.heads": "removed", sizes: "same",
  });
});

it("keeps the branches above what is found, and no others", () => {
  expect(settingLines(config, undefined, (line) => line.path.includes("name")).map((line) => line.path)).toEqual(["model", "model.name"]);
});

it("shows a setting that is a branch in the other run as both", () => {
  expect(settingLines({ model: "vit" }, { model: { name: "vit" } }).map(({ path, leaf, change }) => [path, leaf, change])).toEqual([
    ["model", true, "added"], ["model", false, "changed"], ["model.name", true, "removed"],
  ]);
});

it("hides what is below a folded branch", () => {
  expect(unfolded(settingLines(config), new Set(["model"])).map((line) => line.path)).toEqual(["lr", "model", "sizes"]);
});

it("writes YAML that reads as what was given", () => {
  expect(yaml({ ...config, note: "yes", empty: {}, text: "a: b", none: null, one: "1e3", layers: [{ width: 2 }] })).toBe(
    'lr: 0.1\nmodel:\n  depth: 4\n  name: vit\nsizes: [1, 2]\nnote: "yes"\nempty: {}\ntext: "a: b"\nnone: null\none: "1e3"\nlayers:\n  -\n    width: 2\n',
  );
});

it("writes numbers and characters so that also a reader of YAML 1.1 takes them for what they are", () => {
  expect(yaml({ lr: 1e-7, more: [1e-7, 2.5e-9, -1e21, 0.1], name: "a\x7f\u2028b" })).toBe(
    'lr: 1.0e-7\nmore: [1.0e-7, 2.5e-9, -1.0e+21, 0.1]\nname: "a\\u007f\\u2028b"\n',
  );
});

it("writes arguments that a shell reads as one word each", () => {
  expect(commandLine({ ...config, text: "it's $HOME", none: null })).toBe(`--lr=0.1 --model.depth=4 --model.name=vit '--sizes=[1,2]' '--text=it'\\''s $HOME' --none=null`);
  expect(quoted("")).toBe("''");
});
