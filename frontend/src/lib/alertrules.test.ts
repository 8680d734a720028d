import { describe, expect, it } from "vitest";
import { barsOf, fieldsOf, labelOf, parametersOf, typedOf } from "./alertrules";

const SCHEMA = {
  properties: {
    key: { type: "string", minLength: 1 },
    limit: { type: "number" },
    is: { enum: ["above", "below"], default: "above" },
    window_seconds: { type: "number", minimum: 0, maximum: 86400, default: 0 },
    states: { type: "array", items: { enum: ["failed", "lost"] }, default: ["failed"] },
  },
  required: ["key", "limit"],
};

describe("a rule's form", () => {
  const fields = fieldsOf(SCHEMA);

  it("has a field for each parameter, of its kind and with its default", () => {
    expect(fields.map((field) => [field.name, field.kind, field.required])).toEqual([
      ["key", "text", true], ["limit", "number", true], ["is", "choice", false], ["window_seconds", "number", false], ["states", "choices", false],
    ]);
    expect(typedOf(fields, { key: "loss" })).toEqual({ key: "loss", limit: "", is: "above", window_seconds: "0", states: ["failed"] });
  });

  it("sends numbers as numbers, leaves out what is empty, and lets the server refuse what is no number", () => {
    expect(parametersOf(fields, { key: " loss ", limit: "1e-3", is: "below", window_seconds: "", states: ["lost"] })).toEqual({
      key: "loss", limit: 0.001, is: "below", states: ["lost"],
    });
    expect(parametersOf(fields, { key: "loss", limit: "high", is: "above", window_seconds: "0", states: [] }).limit).toBe("high");
  });

  it("names parameters in words with their unit apart", () => {
    expect(labelOf("patience_steps")).toEqual({ words: "patience", unit: "steps" });
    expect(labelOf("seconds")).toEqual({ words: "for", unit: "seconds" });
    expect(labelOf("least_gain")).toEqual({ words: "least gain", unit: "" });
  });
});

describe("a preview's bars", () => {
  const at = (hour: number) => `2026-11-26T${String(hour).padStart(2, "0")}:00:00Z`;
  it("lie where the spans do, reach the end while they hold, and can be seen", () => {
    const [closed, open, short] = barsOf(
      [
        { start: at(6), end: at(12), message: "a" },
        { start: at(18), end: null, message: "b" },
        { start: "2026-11-26T23:59:59Z", end: null, message: "c" },
      ],
      at(0), "2026-11-27T00:00:00Z",
    );
    expect([closed.left, closed.width]).toEqual([0.25, 0.25]);
    expect(open.left + open.width).toBe(1);
    expect(short.width).toBeGreaterThan(0.003);
    expect(short.left + short.width).toBeLessThanOrEqual(1);
  });
});
