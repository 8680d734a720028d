import { expect, it } from "vitest";
import { isOurs, parseRoute, withQuery } from "./route";

it.each([
  ["/", "overview", {}], ["/experiments/12", "experiment", { id: "12" }], ["/experiments/12/", "experiment", { id: "12" }],
  ["/runs/abc234", "run", { code: "abc234" }], ["/nodes/gpu%20host", "node", { name: "gpu host" }],
  ["/nodes/50%", "node", { name: "50%" }], ["/experiments/x", "missing", {}], ["/admin/", "missing", {}],
])("%s is %s", (path, page, parameters) => {
  const route = parseRoute(path);
  expect(route.page).toBe(page);
  expect(route.parameters).toEqual(parameters);
});

it("leaves the server's own addresses alone", () => {
  expect(isOurs("/api/docs/")).toBe(false);
  expect(isOurs("/queue")).toBe(true);
});

it("changes a query without losing the rest", () => {
  expect(withQuery("/runs/a", new URLSearchParams("tab=logs&q=x"), { tab: "control" })).toBe("/runs/a?tab=control&q=x");
  expect(withQuery("/runs/a", new URLSearchParams("tab=logs"), { tab: null })).toBe("/runs/a");
});
