import { expect, it } from "vitest";
import { difference } from "./baseline";

it.each([
  [0.55, 0.5, "metric:loss", { kind: "figure", words: "+10 %" }], [0.4, 0.5, "min:loss", { kind: "figure", words: "−20 %" }], [0.5, 0.5, "metric:loss", { kind: "figure", words: "±0" }],
  [3, 0, "metric:loss", { kind: "figure", words: "+3" }], [5000, 1, "duration", { kind: "figure", words: "+4,999" }], [NaN, 1, "metric:loss", null], [undefined, 1, "metric:loss", null],
  [1, 2, "last_step", null], ["sgd", "adam", "config:opt", { kind: "other" }], [[1], [1], "config:betas", null], [undefined, 1, "config:opt", { kind: "other" }],
])("of %j to %j in %s is %j", (value, base, column, said) => expect(difference(value, base, column)).toEqual(said));
