import { expect, it } from "vitest";
import { firstLines, namedProject } from "./firstlines";

it("names the project only where the script would not find it by itself", () => {
  expect(firstLines("digits")).toContain('init(experiment="digits", config=');
  expect(firstLines("digits", "vision")).toContain('init(experiment="digits", project="vision", config=');
});

it("quotes what a person called the experiment", () => expect(firstLines('7" \\ é 数字')).toContain('experiment="7\\" \\\\ é 数字"'));

it.each([
  ["default", ["vision", "default"], ""],
  ["vision", ["vision"], ""],
  ["vision", ["vision", "speech"], "vision"],
  ["vision", ["vision", "default"], "vision"], // the server would take default
])("takes %s among %j as %j", (project, writable, named) => expect(namedProject(project, writable)).toBe(named));
