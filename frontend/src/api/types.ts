/**
 * Resources as the pages name them: aliases of what is made from the API's schema (schema.made.ts, `make types`).
 * Written by hand is only what the schema leaves open, such as JSON whose shape docs/contracts.md tells.
 */
import type { Columns, NonFinite } from "../lib/columns";
import type * as made from "./schema.made";

/** What is made, with some of its fields told more narrowly. A field that the schema does not have is refused. */
type Narrow<Made, Fields extends { [Name in keyof Fields]: Name extends keyof Made ? unknown : never }> = Omit<Made, keyof Fields> & Fields;

export type Json = unknown;
export type JsonMap = Record<string, Json>;
/** Numbers, or the names of those that JSON lacks. */
export type Figures = Record<string, number | string | null>;

export interface Page<T> {
  next: string | null;
  previous: string | null;
  results: T[];
}

export type Role = made.Role;
export type RunStateName = made.RunState;
export type Mode = made.ControllerMode;
export type Learning = made.Learning;
export type Project = Narrow<Omit<made.Project, "created_at">, { role: Role }>;
export type Me = Narrow<made.Me, { projects: Project[] }>;

export interface Branch {
  index: number;
  from_step: number;
  reason: "start" | "resume" | "rollback";
  at?: string | number;
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

/** A verb that a run's process takes beside the usual ones. */
export interface Offer {
  verb: string;
  description: string;
  parameters: OfferParameter[];
}

interface RunFields {
  config: JsonMap;
  branches: Branch[];
  summary: Figures;
  process: JsonMap;
  actions: { name: string; description?: string; parameters?: OfferParameter[] }[];
  usage?: Usage;
  offers?: Offer[];
  can: Role;
}
export type Run = Narrow<made.Run, RunFields>;
export type RunColumns = made.RunColumns;
export type RunCount = Narrow<made.RunCount, { states: Partial<Record<RunStateName, number>> }>;
export type RunStatistics = made.RunStatistics;
export type RunGroup = Narrow<made.RunGroup, { values: (string | number | null)[] }>;
export type RunGroups = Narrow<made.RunGroups, { groups: RunGroup[] }>;
export type SavedView = made.SavedView;
export type ListedView = made.ListedView;
export type ViewLink = made.ViewLink;
export type SharedView = made.SharedView;
export type BulkRequest = made.Bulk;
export type BulkAnswer = made.BulkAnswer;
export type Overview = Narrow<made.Overview, { running: Run[]; queued: Run[] | number; needs_attention: (Run & { attention?: string })[] }>;
export type Experiment = Narrow<made.Experiment, { run_counts: Partial<Record<RunStateName, number>>; controller_mode: Mode }>;
export type KeyInfo = Narrow<made.KeyInfo, { last_value: number | string | null }>;
export type Tunable = Narrow<Omit<made.Tunable, "about">, { choices: Json[] }>;
export type Checkpoint = Narrow<made.Checkpoint, { metrics: Figures }>;
export type Lineage = made.Lineage;
export type RunEvent = Narrow<made.RunEvent, { data: JsonMap }>;
export type Mark = Narrow<made.Mark, { at: string | number; tone: string; run?: string }>;
export type LogLine = [time: number, stream: string, text: string];
export type OpenLines = Narrow<made.OpenLines, { lines: LogLine[] }>;
export type LogPage = Narrow<made.LogPage, { lines: LogLine[]; open_lines: OpenLines[] }>;
export type LogHits = Narrow<made.Hits, { hits: [number: number, ...LogLine][] }>;
export type LogPlace = made.Place;
export type Ranks = made.Ranks;
export type Condition = made.RunCondition;
export type MediaKey = made.MediaKey;
export type Media = Narrow<made.Media, { data: JsonMap }>;
export type Histogram = made.Histogram;
export type Histograms = made.HistogramsAnswer;

export type Verb = "set" | "pause" | "resume" | "stop" | "checkpoint" | "rollback" | "action";
export type CommandStateName = made.CommandState;
export type Command = Narrow<made.Command, { verb: Verb | (string & {}) }>;
export type BulkResult = Narrow<made.BulkResult, { command: Command | null }>;
/** What came of a person's change; no verdict yet is "". */
export type Effect = Narrow<made.Effect, { verdict: made.Effect["verdict"] | "" }>;
export type Schedule = Narrow<made.Schedule, { asked: JsonMap }>;
export type Notice = made.Notice;

export type PolicyInfo = Narrow<made.Policy, { defaults: JsonMap }>;
export type Controller = Narrow<made.Controller, { policies: Record<string, JsonMap>; available: PolicyInfo[]; learning?: Learning; problems?: Record<string, string>; changed_by?: string | null }>;
export type DecisionStateName = made.DecisionState;
export type Verdict = made.Decision["verdict"] | "";

interface DecisionFields {
  expected: { metric?: string; effect?: number; low?: number; high?: number; unit?: string };
  forecast: { metric?: string; direction?: string; log?: boolean; broken?: boolean; steps?: number[]; mean?: number[]; low?: number[]; high?: number[] };
  changes?: { verb: string; tunable?: string; value?: Json; old_value?: Json }[]; // all it asks for, in order
  urgent?: boolean;
  trial?: boolean;
  applied_step?: number | null;
  decided_by?: string | null;
  verdict: Verdict;
}
export type Decision = Narrow<Omit<made.Decision, "held80" | "held90">, DecisionFields>;
export type Verdicts = made.Verdicts;
/** How often forecasts of not acting held where nothing was done. */
export type Forecasts = made.Forecasts;
export type PolicyScore = made.Score;
export type ControllerSummary = Narrow<made.Summary, { decisions: Partial<Record<DecisionStateName, number>>; best: Decision | null }>;
/** Decisions as elsewhere, but stored nowhere: their id is null. */
export type Replay = Narrow<made.ReplayAnswer, { decisions: Decision[]; problems: Record<string, string> }>;

export type Attempt = made.Attempt;
export type JobRequest = made.Request;
export type JobGroup = made.JobGroup;
export type NewGroup = made.NewGroupAnswer;
export type Prioritised = made.Prioritised;
/** How far a run is, from its row. */
export type RunProgress = made.Progress;
export type Job = Narrow<made.Job, { run_state: RunStateName }>;
export type NewQuota = made.NewQuota;
export type ProjectQuota = made.ProjectQuota;
export type Share = made.Share;
export type Queue = Narrow<made.Queue, { waiting: Job[]; active: Job[] }>;

export type Readings = Record<string, number | null>;
export interface GpuProcess {
  pid: number; memory_used_bytes: number | null; user: string; command: string; started_at: number | null; run: string | null; run_name: string | null;
  hidden: boolean; // of a run that is not the caller's to see
}
export type Device = Narrow<made.Device, { latest: Readings; processes: GpuProcess[] }>;
export type Node = Narrow<made.Node, { latest: Readings; devices: Device[] }>;
/** Its secret is in the answer to its creation alone. */
export type Token = made.Token & Partial<Pick<made.NewTokenAnswer, "token">>;
export type Invitation = made.InviteAnswer;

/** As typed arrays (columns.ts), which know NaN. */
export type Buckets = Narrow<Omit<made.Buckets, "aged">, { columns: Columns; non_finite: NonFinite[] }>;
export type NodeHistory = made.HistoryAnswer;
export type Workers = made.Workers;
export type SeriesRequest = Required<made.Read>;

export type Importance = made.Importance;
