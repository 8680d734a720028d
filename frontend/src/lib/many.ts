/** The same change for many runs: what can be asked of them, and what came of it for each. */
import type { BulkResult, Json, Tunable } from "../api/types";
import { exact } from "./format";
import { refusal } from "./command";
import { t } from "./i18n";
import { parseNumber } from "./scale";

export interface Chosen {
  code: string;
  name: string;
}
export interface BulkForm {
  verb: "set" | "pause" | "resume" | "stop" | "checkpoint";
  tunable: string;
  how: "value" | "factor";
  amount: string;
  reason: string;
}
export interface BulkRequest {
  verb: string;
  tunable?: string;
  value?: Json;
  factor?: number;
  reason?: string;
}

/** The settings that runs declare, those of most runs first, each as the first run declares it. */
export function common(declared: readonly (readonly Tunable[])[]): { tunable: Tunable; among: number }[] {
  const found = new Map<string, { tunable: Tunable; among: number }>();
  for (const tunables of declared) for (const tunable of tunables) {
    const known = found.get(tunable.name);
    if (known) known.among += 1;
    else found.set(tunable.name, { tunable, among: 1 });
  }
  return [...found.values()].sort((a, b) => b.among - a.among);
}

/** The request, and what is wrong with the form ("" for nothing). Bounds are those of the first run; each has its own. */
export function bulkRequest(form: BulkForm, tunable: Tunable | null): { request: BulkRequest; wrong: string } {
  const reason = form.reason.trim();
  const request: BulkRequest = { verb: form.verb, ...(reason ? { reason } : {}) };
  if (form.verb !== "set") return { request, wrong: "" };
  if (!tunable) return { request, wrong: t("Choose a tunable.") };
  request.tunable = tunable.name;
  if (tunable.kind === "bool" || tunable.kind === "choice") {
    if (form.amount) request.value = JSON.parse(form.amount) as Json;
    return { request, wrong: form.amount ? "" : t("Choose a value.") };
  }
  const amount = parseNumber(form.amount);
  if (amount === null) return { request, wrong: t("This is not a number. Write it like 0.001 or 1e-3.") };
  if (form.how === "factor") {
    request.factor = amount;
    return { request, wrong: amount > 0 && amount !== 1 ? "" : t("A factor is above 0 and not 1: 0.5 halves.") };
  }
  request.value = amount;
  return { request, wrong: refusal(tunable, amount) };
}

/** What came of it for one run. */
export function resultWords({ command, problem }: BulkResult): string {
  if (problem) return problem;
  return command?.verb === "set" ? t("asked for {name} {value}", { name: command.tunable, value: exact(command.value) }) : t("asked");
}
