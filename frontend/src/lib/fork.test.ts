import { expect, it } from "vitest";
import { changesBetween, draftOf, linesSay, readConfig, readEnv, readFork } from "./fork";

const JOB = { argv: ["python", "train.py", "--lr", "0.1"], device_kind: "cpu" as const, min_devices: 1, max_devices: 2, priority: 0 };

it("sends nothing of what is as it was", () => {
  expect(readFork(draftOf(JOB), JOB, { lr: 0.1 })).toEqual({ body: {}, wrong: {}, differences: [] });
});

it("sends what differs, and tells it beside what it was", () => {
  const draft = { ...draftOf(JOB), name: " wider ", argv: "python\ntrain.py\n--lr\n0.3\n--wide\n", env: "A=1\n-B", config: "lr=0.3", most: 4, priority: 5 };
  const { body, differences } = readFork(draft, JOB, { lr: 0.1 });
  expect(body).toEqual({ name: "wider", argv: ["python", "train.py", "--lr", "0.3", "--wide"], env: { A: "1", B: null }, config: { lr: 0.3 }, max_devices: 4, priority: 5 });
  expect(differences).toEqual([
    { what: "argument", from: "0.1", to: "0.3" }, { what: "argument", from: "", to: "--wide" },
    { what: "$A", from: "", to: "1" }, { what: "$B", from: "", to: "left out" },
    { what: "lr", from: "0.1", to: "0.3" }, { what: "devices", from: "1–2 CPU", to: "1–4 CPU" }, { what: "priority", from: "0", to: "5" },
  ]);
});

it("says which line or field cannot be used", () => {
  expect(readFork({ ...draftOf(JOB), env: "A=1\nB", config: "= 3", least: 3 }, JOB, {}).wrong).toEqual({
    env: "line 2 is neither NAME=value nor -NAME", config: "line 1 is not setting=value", max_devices: "At most is less than at least.",
  });
});

it("keeps a command whose arguments have several lines as it is", () => {
  const job = { ...JOB, argv: ["python", "-c", "a\nb"] };
  expect(linesSay(job.argv)).toBe(false);
  expect(readFork(draftOf(job), job, {}).body).toEqual({});
});

it("gives a nested setting with all that stands beside it, and takes JSON, else text", () => {
  const old = { model: { depth: 2, wide: true }, "a.b": 1 };
  expect(readConfig('model.depth=3\nmodel.name=big one\na.b=2\nnew={"x": [1]}', old).values).toEqual({ model: { depth: 3, wide: true, name: "big one" }, "a.b": 2, new: { x: [1] } });
  expect(readConfig("model.depth=2", old).differences).toEqual([]);
});

it.each([
  [["a", "b", "c"], ["a", "c"], [{ from: "b", to: "" }]],
  [["a"], ["a", "b"], [{ from: "", to: "b" }]],
  [["a", "x", "c"], ["a", "y", "c"], [{ from: "x", to: "y" }]],
])("finds what was changed from %o to %o", (a, b, changes) => expect(changesBetween(a, b)).toEqual(changes));

it("passes over remarks in the environment", () => expect(readEnv("# no\n\nA=b=c")).toEqual({ values: { A: "b=c" }, error: "" }));
