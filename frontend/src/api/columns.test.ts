/// <reference types="node" />
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { NAMES } from "../lib/columns";
import { decodeColumns } from "./columns";

// What Python sends, as tests/contract/test_series_columns.py wrote it, and the JSON form that says the same.
const FOLDER = "../tests/contract/fixtures/series";
const file = readFileSync(`${FOLDER}/read.bin`);
const body = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
const same = JSON.parse(readFileSync(`${FOLDER}/read.json`, "utf8"));

const asJson = (value: number, name: string) =>
  Number.isNaN(value) ? (name === "last" ? "NaN" : null) : Number.isFinite(value) ? value : value > 0 ? "Infinity" : "-Infinity";

test("what Python writes reads as the JSON form does", () => {
  const found = decodeColumns(body).map((part) => ({
    ...part, columns: Object.fromEntries(NAMES.map((name) => [name, Array.from(part.columns[name], (value) => asJson(value, name))])),
  }));
  expect(found).toEqual(same.series);
});

test("columns are views of the body, not copies", () => {
  const [first] = decodeColumns(body);
  expect(first.columns.time.buffer).toBe(body);
  expect(first.columns.mean.byteOffset % 8).toBe(0);
});

test.each([[0, /cut short: 0 bytes/], [100, /cut short: a head/], [body.byteLength - 8, /lacks values/]])("a body of %i bytes is refused in words", (bytes, words) =>
  expect(() => decodeColumns(body.slice(0, bytes))).toThrow(words));

test("another form is refused in words", () => expect(() => decodeColumns(new TextEncoder().encode('{"series": []}').buffer as ArrayBuffer)).toThrow(/Load the page again/));
