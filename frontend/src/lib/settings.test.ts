import { describe, expect, it } from "vitest";
import { LABEL, parseSettings } from "./settings";

describe("parseSettings", () => {
  it("reads one setting a line and keeps = in values", () => {
    expect(parseSettings("A=1\n\n# note\n B_2=x=y \n")).toEqual({ values: { A: "1", B_2: "x=y" }, error: "" });
  });
  it("says which line is wrong", () => {
    expect(parseSettings("A=1\nexport B=2").error).toBe("line 2 is not NAME=value");
    expect(parseSettings("1A=2").error).toBe("line 1 is not NAME=value");
  });
  it("takes for labels what no variable may be called", () => {
    expect(parseSettings("gpu-type=h100\nexample.org/rack=3", LABEL).values).toEqual({ "gpu-type": "h100", "example.org/rack": "3" });
    expect(parseSettings("gpu type=h100", LABEL).error).toBe("line 1 is not NAME=value");
  });
  it("lets the last of two equal names win", () => {
    expect(parseSettings("A=1\nA=2").values).toEqual({ A: "2" });
  });
});
