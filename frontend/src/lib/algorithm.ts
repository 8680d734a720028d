/** What a change of the algorithm would do or did, as the process measured it on a copy of the model. */
import type { Json, Offer, OfferParameter } from "../api/types";
import { bytes, duration, exact, number, percent } from "./format";
import { t } from "./i18n";
import { parseNumber } from "./scale";

export interface MeasuredRow {
  what: string;
  before: string;
  after: string;
  change: string; // of before, signed; "" where there is none
  judged: boolean; // the metric by which the change is refused or let through
}

interface Figures {
  size_bytes?: number;
  packed_bytes?: number;
  nonzero_ratio?: number;
  latency_seconds?: number;
  training_seconds?: number | null;
  metrics?: Record<string, number>;
}
export interface MeasuredTable {
  metric: string;
  bound: number;
  worse: number;
  within: boolean;
  before: Figures;
  after: Figures;
}

export const isMeasured = (value: Json): value is MeasuredTable => {
  const table = value as Partial<MeasuredTable> | null;
  return typeof table === "object" && table !== null && typeof table.metric === "string" && typeof table.before === "object" && typeof table.after === "object";
};

/** The table's rows: the metric that decides first, then the others, then what is gained. */
export function measuredRows({ metric, before, after }: MeasuredTable): MeasuredRow[] {
  const rows: MeasuredRow[] = [];
  const row = (what: string, a: unknown, b: unknown, say: (value: number) => string, judged = false) => {
    if (typeof a !== "number" || typeof b !== "number") return;
    rows.push({ what, before: say(a), after: say(b), change: a !== 0 && Number.isFinite(a) && a !== b ? signed((b - a) / Math.abs(a)) : "", judged });
  };
  const names = [metric, ...Object.keys(before.metrics ?? {}).filter((name) => name !== metric)];
  for (const name of names) row(name, before.metrics?.[name], after.metrics?.[name], (value) => number(value), name === metric);
  row(t("size"), before.size_bytes, after.size_bytes, bytes);
  if (before.packed_bytes !== after.packed_bytes) row(t("size without zeros"), before.packed_bytes, after.packed_bytes, bytes);
  if (before.nonzero_ratio !== after.nonzero_ratio) row(t("weights that are not zero"), before.nonzero_ratio, after.nonzero_ratio, percent);
  row(t("time of the example batch"), before.latency_seconds, after.latency_seconds, duration);
  row(t("forward and backward"), before.training_seconds, after.training_seconds, duration);
  return rows;
}

const signed = (share: number): string => (share > 0 ? `+${percent(share)}` : percent(share).replace("-", "−"));

/** What a form says, as the order's value; or the name of the first field that cannot be taken, and why. */
export function valueOfOffer(offer: Offer, drafts: Record<string, string | boolean>): { value: Record<string, Json>; wrong: Record<string, string> } {
  const value: Record<string, Json> = {};
  const wrong: Record<string, string> = {};
  for (const parameter of offer.parameters) {
    const draft = drafts[parameter.name];
    if (draft === undefined) value[parameter.name] = parameter.value;
    else if (typeof draft === "boolean" || parameter.kind === "choice") value[parameter.name] = draft;
    else {
      const read = parseNumber(draft);
      const fault = faultOf(parameter, read);
      if (fault) wrong[parameter.name] = fault;
      else value[parameter.name] = read;
    }
  }
  return { value, wrong };
}

function faultOf({ name, low, high, kind }: OfferParameter, value: number | null): string {
  if (value === null) return t("This is not a number. Write it like 0.3 or 1e-3.");
  if (kind === "int" && !Number.isInteger(value)) return t("{name} takes whole numbers.", { name });
  if ((typeof low === "number" && value < low) || (typeof high === "number" && value > high)) return t("{name} is between {low} and {high}.", { name, low: exact(low), high: exact(high) });
  return "";
}

/** Whether an offer can be tried without changing anything. */
export const canMeasure = (offer: Offer): boolean => offer.parameters.some(({ name }) => name === "dry");
