// @vitest-environment jsdom
import { expect, it } from "vitest";
import { listen, match, type Shortcut } from "./shortcuts";

const make = (...keys: string[]) => {
  const done: string[] = [];
  return { done, list: keys.map((each): Shortcut => ({ keys: each, words: "", run: () => done.push(each) })) };
};

it("takes a sequence before a key alone, and a key alone after any other", () => {
  const { list } = make("g n", "n", "?");
  expect(match(list, "g", "n")?.keys).toBe("g n");
  expect(match(list, "Tab", "?")?.keys).toBe("?");
  expect(match(list, "", "n")?.keys).toBe("n");
  expect(match(list, "", "g")).toBeUndefined();
});

it("does not count Shift as a key, and leaves fields alone", () => {
  const { list, done } = make("?", "g n");
  const stop = listen(() => list);
  const press = (key: string, on: EventTarget = window) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  for (const key of ["Shift", "?", "g", "Shift", "n"]) press(key);
  expect(done).toEqual(["?", "g n"]);
  const field = document.body.appendChild(document.createElement("input"));
  press("?", field);
  expect(done.length).toBe(2);
  stop();
});

it("hears Ctrl+K in a field too, and Command+K, and leaves other chords to the browser", () => {
  const { list, done } = make("Ctrl k", "k");
  const stop = listen(() => list);
  const field = document.body.appendChild(document.createElement("input"));
  for (const init of [{ ctrlKey: true }, { metaKey: true }, { ctrlKey: true, shiftKey: true }, {}]) field.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true, ...init }));
  field.dispatchEvent(new KeyboardEvent("keydown", { key: "p", ctrlKey: true, bubbles: true }));
  expect(done).toEqual(["Ctrl k", "Ctrl k"]);
  stop();
});

it("ends a sequence that live changes came into, and hears a key whose target is a dialog's that has just closed", () => {
  const { list, done } = make("g n", "?");
  let offered = list;
  const stop = listen(() => offered);
  const press = (key: string, on: EventTarget = window) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  press("g");
  offered = [...list];
  press("n");
  const dialog = document.body.appendChild(document.createElement("dialog"));
  const field = dialog.appendChild(document.createElement("input"));
  dialog.setAttribute("open", "");
  press("?", field);
  dialog.removeAttribute("open");
  press("?", field);
  expect(done).toEqual(["g n", "?"]);
  stop();
});
