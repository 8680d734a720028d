import { expect, it } from "vitest";
import type { Notice } from "../api/types";
import { hrefOf, subjectOf, titleOf } from "./notices";

const notice = (fields: Partial<Notice>): Notice =>
  ({ kind: "alert", id: 4, at: "", title: "val_loss is high", text: "It is 9.", run: "abc", run_name: "bold-otter", experiment: 2, tone: "bad", can: "operator", data: { label: "bold-otter", node: "", step: 900 }, ...fields }) as Notice;

it("calls an alert by its rule, as it was named, and leads to its run, its node, or all alerts", () => {
  expect([titleOf(notice({})), subjectOf(notice({})), hrefOf(notice({}))]).toEqual(["val_loss is high", "bold-otter", "/runs/abc"]);
  const node = notice({ run: "", run_name: "", experiment: null, data: { label: "gpu0 of rack 1", node: "rack 1", step: null } });
  expect([subjectOf(node), hrefOf(node)]).toEqual(["gpu0 of rack 1", "/nodes/rack%201"]);
  expect(hrefOf(notice({ run: "", data: { node: "" } }))).toBe("/alerts");
});

it("leads from a proposal to its decision, and from a kind that it does not know to its run or experiment", () => {
  expect([titleOf(notice({ kind: "proposal", title: "learning_rate" })), hrefOf(notice({ kind: "proposal" }))]).toEqual(["Learning rate", "/runs/abc?tab=decisions&at=4"]);
  const other = notice({ kind: "budget", title: "node_hours" });
  expect([titleOf(other), subjectOf(other), hrefOf(other), hrefOf({ ...other, run: "" }), hrefOf({ ...other, run: "", experiment: null })]).toEqual(["Node hours", "bold-otter", "/runs/abc", "/experiments/2", "/"]);
});
