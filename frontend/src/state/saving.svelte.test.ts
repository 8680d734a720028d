import { expect, it } from "vitest";
import { ApiError } from "../api/client";
import { Saving } from "./saving.svelte";

it("tells of what was refused by its field, of all else by a sentence, and of neither once it went", async () => {
  const saving = new Saving("name", "kind");
  const refused = new ApiError(400, "Not saved.", { name: ["It is taken.", "It is long."] });
  expect(await saving.run(() => Promise.reject(refused))).toBe(false);
  expect([saving.of("name"), saving.of("kind"), saving.problem]).toEqual(["It is taken.", "", ""]);
  expect(await saving.run(() => Promise.reject(new ApiError(403, "Not yours.")))).toBe(false);
  expect([saving.of("name"), saving.problem]).toEqual(["", "Not yours."]);
  let during = false;
  expect(await saving.run(() => Promise.resolve((during = saving.busy)))).toBe(true);
  expect([during, saving.busy, saving.problem]).toEqual([true, false, ""]);
});

it("loses nothing that is said of a field which the form does not show", async () => {
  const refused = new ApiError(400, "The view is too large.", { state: ["It is too large."] });
  const saving = new Saving("name");
  await saving.run(() => Promise.reject(refused));
  expect([saving.of("name"), saving.problem]).toEqual(["", "The view is too large."]);
  const plain = new Saving();
  await plain.run(() => Promise.reject(refused));
  expect(plain.problem).toBe("The view is too large.");
});

it("says what was refused before it was sent", () => {
  const saving = new Saving();
  saving.refuse("Expected a time to come.");
  expect(saving.problem).toBe("Expected a time to come.");
});
