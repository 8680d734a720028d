/** Resources as docs/contracts.md section 4 writes them. Times are ISO 8601 in UTC unless a name says seconds. */
import type { Columns, NonFinite } from "../lib/columns";

export type Role = "viewer" | "operator" | "admin";
export type RunStateName =
  | "queued" | "starting" | "running" | "paused" | "stopping" | "finished" | "failed" | "stopped" | "lost";
export type Mode = "off" | "observe" | "advise" | "act";
export type Json = unknown;
export type JsonMap = Record<string, Json>;

export interface Page<T> {
  next: string | null;
  previous: string | null;
  results: T[];
}

export interface Project {
  slug: string;
  name: string;
  role: Role;
}

export interface Me {
  username: string;
  is_admin: boolean;
  version: string;
  projects: Project[];
}

export interface Overview {
  running: Run[];
  queued: Run[] | number;
  needs_attention: (Run & { attention?: string })[];
  nodes: { online: number; silent: number; lost: number };
  devices: { total: number; busy: number };
  store: { points: number; bytes: number };
  controller: { changes: number; better: number; worse: number; undone: number; waiting: number }; // the last 24 hours
}

export interface Experiment {
  id: number;
  project: string;
  slug: string;
  name: string;
  notes: string;
  goal_metric: string;
  goal_direction: "min" | "max";
  goal_target: number | null;
  budget_device_hours: number | null;
  deadline: string | null;
  archived: boolean;
  created_at: string;
  created_by: string | null;
  run_counts: Partial<Record<RunStateName, number>>;
  controller_mode: Mode;
}

export interface PolicyInfo {
  name: string;
  summary: string;
  defaults: JsonMap;
}

export type Learning = "use" | "teach" | "off";

export interface Controller {
  mode: Mode;
  learning?: Learning;
  policies: Record<string, JsonMap>;
  guards: JsonMap;
  available: PolicyInfo[];
  problems?: Record<string, string>;
  changed_at: string | null;
  changed_by?: string | null;
}

export interface Branch {
  index: number;
  from_step: number;
  reason: "start" | "resume" | "rollback";
  at?: string | number;
}

export interface Run {
  code: string;
  name: string;
  experiment: number;
  experiment_name: string;
  project: string;
  state: RunStateName;
  silent: boolean;
  config: JsonMap;
  tags: string[];
  notes: string;
  created_by: string | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  last_seen_at: string | null;
  last_step: number | null;
  parent: string | null;
  parent_step: number | null;
  branches: Branch[];
  summary: Record<string, number | string | null>;
  process: JsonMap;
  actions: { name: string; description?: string }[];
  usage?: Usage;
  offers?: Offer[]; // verbs that its process takes beside the usual ones
  job: string | null;
  can: Role;
}

export interface KeyInfo {
  key: string;
  points: number;
  first_step: number | null;
  last_step: number | null;
  last_value: number | string | null;
  last_time: number | null;
  low: number | null;
  high: number | null;
  non_finite: number;
}

export interface Tunable {
  name: string;
  kind: "float" | "int" | "bool" | "choice";
  value: Json;
  initial: Json;
  low: number | null;
  high: number | null;
  scale: "linear" | "log";
  choices: Json[];
  role: string;
  description: string;
  changed_at: string | null;
  changed_step: number | null;
  changed_by: string;
}

/** Sums over a run's attempts; null is unknown, and what was not counted yet is not there. */
export interface Usage {
  device_seconds?: number;
  energy_joules?: number | null;
  energy_covered_ratio?: number | null;
  cost?: number | null;
  currency?: string;
}

export type OfferParameter = Pick<Tunable, "name" | "kind" | "value" | "low" | "high" | "choices" | "description">;

export interface Offer {
  verb: string;
  description: string;
  parameters: OfferParameter[];
}

export type Verb = "set" | "pause" | "resume" | "stop" | "checkpoint" | "rollback" | "action";
export type CommandStateName = "pending" | "sent" | "applied" | "rejected" | "expired" | "superseded";

export interface Command {
  id: number;
  seq: number;
  verb: Verb | (string & {});
  tunable: string;
  value: Json;
  asked_by: string;
  by_person: boolean;
  reason: string;
  origin: string;
  state: CommandStateName;
  created_at: string;
  sent_at: string | null;
  applied_at: string | null;
  applied_step: number | null;
  old_value: Json;
  new_value: Json;
  message: string;
}

export interface Checkpoint {
  id: number;
  step: number;
  branch: number;
  path: string;
  size_bytes: number;
  sha256: string;
  metrics: Record<string, number | string | null>;
  reason: string;
  created_at: string;
  pinned: boolean;
  available: boolean;
}

export type DecisionStateName =
  | "recorded" | "proposed" | "blocked" | "rejected" | "sent" | "applied" | "judged" | "undone" | "expired";
export type Verdict = "better" | "same" | "worse" | "unclear" | "";

export interface Decision {
  id: number;
  run: string;
  policy: string;
  state: DecisionStateName;
  mode: Mode | "shadow";
  verb: string;
  tunable: string;
  old_value: Json;
  new_value: Json;
  reason: string;
  evidence: JsonMap;
  expected: { metric?: string; effect?: number; low?: number; high?: number; unit?: string };
  forecast: { metric?: string; steps?: number[]; mean?: number[]; low?: number[]; high?: number[] };
  changes?: { verb: string; tunable?: string; value?: Json; old_value?: Json }[]; // all it asks for, in order
  urgent?: boolean;
  trial?: boolean;
  applied_step?: number | null;
  decided_by?: string | null;
  decided_step: number;
  judge_at_step: number;
  created_at: string;
  blocked_by: string;
  command: number | null;
  undo_command: number | null;
  verdict: Verdict;
  measured: JsonMap;
  judged_at: string | null;
}

export interface Verdicts {
  better: number;
  same: number;
  worse: number;
  unclear: number;
  mean_gain: number | null; // a logarithm, positive where the metric was better
  gains: number;
}

/** How often forecasts of not acting held where nothing was done. */
export interface Forecasts {
  compared: number;
  held80: number;
  held90: number;
  share80: number | null;
  share90: number | null;
}

export interface PolicyScore {
  policy: string;
  decisions: number;
  acted: number;
  blocked: number;
  shadow: number;
  taken_back: number;
  verdicts: Verdicts;
  forecasts: Forecasts;
  days: (Verdicts & { day: string })[];
}

export interface ControllerSummary {
  experiment: number;
  runs: number;
  decisions: Partial<Record<DecisionStateName, number>>;
  shadow: number;
  changes: number;
  verdicts: Verdicts;
  rescues: { made: number; better: number };
  trials: { made: number; kept: number; taken_back: number; open: number };
  taken_back: number;
  saved_steps: number | null;
  saved_seconds: number | null;
  lost_steps: number;
  forecasts: Forecasts;
  best: Decision | null;
  sentence: string;
}

/** Decisions as elsewhere, but stored nowhere: their id is null. */
export interface Replay {
  decisions: Decision[];
  problems: Record<string, string>;
  moments: number;
}

export interface RunEvent {
  id: number;
  at: string;
  step: number | null;
  kind: string;
  old: string;
  new: string;
  reason: string;
  actor: string;
  data: JsonMap;
}

export interface Mark {
  kind: "command" | "decision" | "checkpoint" | "event";
  id: number;
  step: number | null;
  at: string | number;
  label: string;
  tone: string;
  run?: string; // of several runs
}

export type LogLine = [time: number, stream: string, text: string];

export interface LogPage {
  first_line: number;
  total: number;
  lines: LogLine[];
}

export interface Attempt {
  number: number;
  node: string;
  devices: (string | { kind: string; index: number })[];
  state: string;
  outcome: string;
  exit_code: number | null;
  signal: string;
  first_error_line: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
}

export interface Job {
  code: string;
  run: string;
  run_name: string;
  run_state: RunStateName;
  experiment: number;
  project: string;
  argv: string[];
  device_kind: "cpu" | "gpu";
  min_devices: number;
  max_devices: number;
  priority: number;
  max_retries: number;
  retries_used: number;
  state: "queued" | "active" | "done" | "failed" | "stopped";
  waiting_reason: string;
  submitted_by: string | null;
  submitted_at: string;
  ended_at: string | null;
  attempts: Attempt[];
}

export interface Queue {
  waiting: Job[];
  active: Job[];
  devices: { total: number; busy: number };
}

export type Readings = Record<string, number | null>;

export interface Device {
  kind: "cpu" | "gpu";
  index: number;
  name: string;
  uuid: string;
  memory_total_bytes: number | null;
  healthy: boolean;
  health_reason: string;
  latest: Readings;
  processes: { pid: number; memory_used_bytes: number | null; run: string | null }[];
  busy_with: string | null;
}

export interface Node {
  name: string;
  hostname: string;
  state: "online" | "silent" | "lost";
  drained: boolean;
  labels: JsonMap;
  system: JsonMap;
  latest: Readings;
  last_seen_at: string | null;
  devices: Device[];
}

export interface Token {
  id: number;
  name: string;
  prefix: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  token?: string; // in the answer to its creation alone
}

export interface Buckets {
  source: string;
  key: string;
  branch: number;
  faded: boolean;
  x: string;
  bucket: number;
  exact: boolean;
  columns: Columns;
  non_finite: NonFinite[];
}

export interface SeriesRequest {
  sources: string[];
  keys: string[];
  width: number;
  x: string;
  start: number | null;
  end: number | null;
}
