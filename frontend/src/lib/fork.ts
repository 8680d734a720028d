/** What a person types to fork a run, as the request for it and as what differs from the run that it goes on from. */
import type { ForkRequest } from "../api";
import type { Job, JsonMap } from "../api/types";
import { exact } from "./format";
import { t } from "./i18n";

export interface ForkDraft {
  name: string;
  argv: string; // an argument a line
  env: string; // NAME=value sets, -NAME leaves out
  config: string; // path=value
  kind: "cpu" | "gpu";
  least: number;
  most: number;
  priority: number;
}

type Old = Pick<Job, "argv" | "device_kind" | "min_devices" | "max_devices" | "priority">;

export const draftOf = (job: Old): ForkDraft => ({
  name: "", argv: job.argv.join("\n"), env: "", config: "", kind: job.device_kind, least: job.min_devices, most: job.max_devices, priority: job.priority,
});

/** An argument of several lines cannot be told from several arguments: such a command is kept as it is. */
export const linesSay = (argv: readonly string[]): boolean => argv.every((each) => !each.includes("\n"));

export interface Difference {
  what: string;
  from: string; // "" where it is new
  to: string; // "" where it is left out
}

export interface Read {
  body: Omit<ForkRequest, "checkpoint">;
  wrong: Partial<Record<"env" | "config" | "max_devices", string>>;
  differences: Difference[];
}

/** Only what differs is sent: the rest is as in the old job, whatever it is by then. */
export function readFork(draft: ForkDraft, job: Old, config: JsonMap): Read {
  const body: Read["body"] = {};
  const wrong: Read["wrong"] = {};
  const differences: Difference[] = [];
  if (draft.name.trim()) body.name = draft.name.trim();
  if (linesSay(job.argv)) {
    const argv = draft.argv.replace(/\n+$/, "").split("\n");
    const changes = changesBetween(job.argv, argv);
    if (changes.length) body.argv = argv;
    differences.push(...changes.map(({ from, to }) => ({ what: t("argument"), from, to })));
  }
  const env = readEnv(draft.env);
  if (env.error) wrong.env = env.error;
  else if (Object.keys(env.values).length) {
    body.env = env.values;
    for (const [name, value] of Object.entries(env.values)) differences.push({ what: `$${name}`, from: "", to: value ?? t("left out") });
  }
  const settings = readConfig(draft.config, config);
  if (settings.error) wrong.config = settings.error;
  else if (settings.differences.length) {
    body.config = settings.values;
    differences.push(...settings.differences);
  }
  if (draft.most < draft.least) wrong.max_devices = t("At most is less than at least.");
  if (draft.kind !== job.device_kind) body.device_kind = draft.kind;
  if (draft.least !== job.min_devices) body.min_devices = draft.least;
  if (draft.most !== job.max_devices) body.max_devices = draft.most;
  if (draft.priority !== job.priority) body.priority = draft.priority;
  const devices = (kind: string, least: number, most: number) => `${least === most ? least : `${least}–${most}`} ${kind.toUpperCase()}`;
  if (body.device_kind ?? body.min_devices ?? body.max_devices) differences.push({ what: t("devices"), from: devices(job.device_kind, job.min_devices, job.max_devices), to: devices(draft.kind, draft.least, draft.most) });
  if (body.priority !== undefined) differences.push({ what: t("priority"), from: String(job.priority), to: String(body.priority) });
  return { body, wrong, differences };
}

export function readEnv(text: string): { values: Record<string, string | null>; error: string } {
  const values: Record<string, string | null> = {};
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (!line || line.startsWith("#")) continue;
    const match = /^(?:-([A-Za-z_]\w*)|([A-Za-z_]\w*)=(.*))$/.exec(line);
    if (!match) return { values, error: t("line {n} is neither NAME=value nor -NAME", { n: index + 1 }) };
    if (match[1]) values[match[1]] = null;
    else values[match[2]] = match[3];
  }
  return { values, error: "" };
}

/** path=value lines over a nested config. The server merges by the first name, so all below one is given whole. */
export function readConfig(text: string, old: JsonMap): { values: JsonMap; differences: Difference[]; error: string } {
  const values: JsonMap = {};
  const differences: Difference[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (!line || line.startsWith("#")) continue;
    const cut = line.indexOf("=");
    const path = line.slice(0, Math.max(0, cut)).trim();
    if (!path) return { values, differences, error: t("line {n} is not setting=value", { n: index + 1 }) };
    const value = valueOf(line.slice(cut + 1).trim());
    // A name with dots in it is that name; else dots lead inside.
    const parts = Object.hasOwn(old, path) ? [path] : path.split(".");
    const before = parts.reduce<unknown>((at, part) => (isMap(at) ? at[part] : undefined), old);
    if (JSON.stringify(before) === JSON.stringify(value)) continue;
    const [first, ...rest] = parts;
    values[first] = rest.length ? put(Object.hasOwn(values, first) ? values[first] : old[first], rest, value) : value;
    differences.push({ what: path, from: before === undefined ? "" : exact(before), to: exact(value) });
  }
  return { values, differences, error: "" };
}

const isMap = (value: unknown): value is JsonMap => typeof value === "object" && value !== null && !Array.isArray(value);

function put(into: unknown, [part, ...rest]: string[], value: unknown): JsonMap {
  const map = isMap(into) ? into : {};
  return { ...map, [part]: rest.length ? put(map[part], rest, value) : value };
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What is taken out and put in between two lists, in order; what stands in the place of another is one change. */
export function changesBetween(a: readonly string[], b: readonly string[]): { from: string; to: string }[] {
  const longest = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const out: { from: string; to: string }[] = [];
  let removed: string[] = [];
  let added: string[] = [];
  const close = () => {
    for (let n = 0; n < Math.max(removed.length, added.length); n++) out.push({ from: removed[n] ?? "", to: added[n] ?? "" });
    removed = [];
    added = [];
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      close();
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) removed.push(a[i++]);
    else added.push(b[j++]);
  }
  close();
  return out;
}
