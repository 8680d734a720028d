/** Made by `make types` from the OpenAPI schema: change that, not this file. */

export interface Acted {
  id: number;
  /** Its code. */
  run: string;
  run_name: string;
  policy: string;
  state: string;
  verdict: string;
  verb: string;
  tunable: string;
  old_value: unknown;
  new_value: unknown;
  changes: unknown;
  created_at: string;
}

export interface Adoption {
  /** The code of the run that took weights over. */
  run: string;
  run_name: string;
  /** Its step at which it did. */
  step: number | null;
  /** The code of the run that they are from. */
  source: string;
  /** Empty where it was deleted. */
  source_name: string;
  source_step: number | null;
  /** Of the run that they are from. */
  checkpoint: number | null;
  by: string;
  at: string;
}

export interface After {
  /** What it waits for: CODE (to end well), CODE:any or CODE:failed of jobs, runs or groups. */
  after: string[];
}

export interface Alert {
  id: number;
  rule: number;
  rule_name: string;
  rule_removed_at: string | null;
  condition: string;
  severity: Severity;
  subject: string;
  label: string;
  project: string | null;
  run: string | null;
  experiment: number | null;
  node: string | null;
  message: string;
  value: number | null;
  step: number | null;
  started_at: string;
  fired_at: string;
  resolved_at: string | null;
  end_reason: "rule changed" | "rule switched off" | "rule removed" | "";
  times: number;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
}

export interface Attempt {
  number: number;
  node: string;
  /** All of them, the first one first. */
  nodes: string[];
  devices: string[];
  state: AttemptState;
  outcome: "finished" | "failed" | "stopped" | "lost" | "rescaled" | "preempted" | "";
  exit_code: number | null;
  signal: string;
  first_error_line: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  preempt_asked_at: string | null;
  preempt_reason: string;
  /** null before it was first counted. */
  usage: Usage | null;
  /** The checkpoint that it went on from; null: it began anew. */
  resumed_from: Beginning | null;
}

export type AttemptState = "assigned" | "running" | "stopping" | "ended";

export interface Beginning {
  checkpoint: number;
  run: string;
  step: number;
}

export interface Belief {
  policy: string;
  /** What is done and about how far: `learning_rate x3`, `rollback`. */
  action: string;
  /** Optimiser family, phase of the run, noise of its loss. */
  context: string;
  /** Verdicts, the old ones weighing less; so are all counts. */
  better: number;
  same: number;
  worse: number;
  /** Within what chance gives: teaches nothing of gain or harm. */
  unclear: number;
  /** How many of the verdicts have a figure. */
  gains: number;
  /** Mean gain: a logarithm of measured against forecast, positive for better. */
  mean: number;
  /** Sum of the gains' squared deviations from their mean. */
  squares: number;
  chance_better: number;
  chance_worse: number;
  gain: number;
  /** Lower end of the mean gain's 80 % interval. */
  gain_low: number;
  gain_high: number;
}

export interface BeliefsFile {
  format: string;
  beliefs: Tally[];
}

export interface BeliefsWanted {
  format: string;
  beliefs: unknown[];
  merge?: boolean;
}

export interface Buckets {
  source: string;
  key: string;
  branch: number;
  faded: boolean;
  x: string;
  /** Steps in a bucket, a power of two. */
  bucket: number;
  /** Each bucket is one point. */
  exact: boolean;
  /** Points of the range gave way to roll-ups. */
  aged: boolean;
  columns: Columns;
  non_finite: NonFinite[];
}

export interface Bulk {
  experiment: number;
  action: "tag" | "untag" | "stop" | "requeue" | "delete";
  /** For tag and untag. */
  tags?: string[];
  codes?: string[];
  /** Instead of codes: all that match; {} is all there are. */
  matching?: Matching;
  /** With matching: how many the person was shown. Refused where more match now. */
  expected?: number;
  /** `next` of the last answer, to go on. */
  after?: number;
  /** `until` of the last answer: later runs are left alone. */
  until?: number;
}

export interface BulkAnswer {
  done: number;
  /** Codes, to take it back by. */
  changed: string[];
  /** It was so already. */
  unchanged: number;
  refused: number;
  refusals: RefusedRun[];
  /** Runs that are still to come. */
  left: number;
  next: number | null;
  until: number;
}

export interface BulkCommand {
  runs: string[];
  verb: string;
  tunable?: string;
  value?: unknown;
  factor?: number | null;
  reason?: string;
  key?: string;
}

export interface BulkResult {
  run: string;
  command: Command | null;
  /** Why this run was not asked; empty where it was. */
  problem: string;
}

export interface Changes {
  /** {tunable: value}; all are applied at one step boundary, or none. */
  settings: unknown;
  at_step?: number | null;
  reason?: string;
  key?: string;
}

export interface Channel {
  id: number;
  project: string | null;
  name: string;
  kind: ChannelKind;
  target: string;
  tell_resolved: boolean;
  enabled: boolean;
  created_by: string | null;
  created_at: string;
}

export type ChannelKind = "mail" | "webhook";

export interface Checkpoint {
  id: number;
  step: number;
  branch: number;
  path: string;
  size_bytes: number;
  sha256: string;
  metrics: unknown;
  reason: string;
  created_at: string;
  pinned: boolean;
  available: boolean;
  /** Which rules of its process hold it, as of the last save: newest, loss (least), metric (best). */
  kept_by: string[];
}

export interface Clone {
  name?: string;
  /** The command as a list of arguments; no shell reads it. */
  argv?: string[];
  /** Changes; null leaves a variable out. */
  env?: Record<string, string | null>;
  cwd?: string;
  /** Labels that its nodes must have: {name: value}. */
  node_labels?: Record<string, string>;
  /** A part of the devices' name, such as h100. */
  device_name?: string;
  device_memory_bytes?: number | null;
  /** Main memory reserved on each of its nodes, and its limit there. */
  memory_bytes?: number | null;
  device_kind?: DeviceKind;
  min_devices?: number;
  max_devices?: number;
  /** torchrun: the command runs once for each device, as the ranks of one training. * `once` - Once * `torchrun` - Torchrun */
  launcher?: "once" | "torchrun";
  max_nodes?: number;
  /** What stays as it is when the number of ranks changes: the effective batch, or what each rank does. * `batch` - Batch * `rate-rule` - Rate Rule */
  keep?: "batch" | "rate-rule";
  priority?: number;
  /** Whether it may be asked to leave for another job; saved: when its process saves checkpoints. * `saved` - Saved * `always` - Always * `never` - Never */
  preemptible?: "saved" | "always" | "never";
  max_retries?: number;
  config?: unknown;
  /** {"lr": "1e-3"}: in the command (--lr 0.1, --lr=0.1, lr=0.1, or added) and the run's settings. */
  settings?: Record<string, string>;
}

export interface Columns {
  x: number[];
  step: number[];
  time: number[];
  min: (number | null)[];
  max: (number | null)[];
  mean: (number | null)[];
  last: unknown[];
  count: number[];
}

export interface Command {
  id: number;
  seq: number;
  verb: "set" | "pause" | "resume" | "stop" | "checkpoint" | "rollback" | "adopt" | "pin" | "action" | "rescale" | "prune" | "quantise" | "compile" | "cancel";
  tunable: string;
  value: unknown;
  asked_by: string;
  by_person: boolean;
  reason: string;
  origin: string;
  state: CommandState;
  created_at: string;
  sent_at: string | null;
  applied_at: string | null;
  applied_step: number | null;
  old_value: unknown;
  new_value: unknown;
  message: string;
  /** Each rank's answer: {rank: {step, ok, message}}. */
  acks: unknown;
  /** Shared by what is applied at one boundary, all or none. */
  group: string;
  /** The step that it waits for. */
  at_step: number | null;
  drops: number[];
  schedule: number | null;
}

export type CommandState = "pending" | "sent" | "applied" | "rejected" | "expired" | "superseded";

export interface Condition {
  name: string;
  looks_at: "run" | "node" | "device" | "job";
  title: string;
  told: string;
  /** JSON Schema of the parameters. */
  parameters: unknown;
}

export interface ConditionsAnswer {
  conditions: Condition[];
  presets: Preset[];
}

export interface Controller {
  mode: ControllerMode;
  /** use: beliefs choose sizes and hold back, verdicts teach. teach: verdicts teach only. off: neither. * `use` - Use * `teach` - Teach * `off` - Off */
  learning: Learning;
  policies: Record<string, unknown>;
  guards: Record<string, unknown>;
  available: Policy[];
  /** Policies that could not be loaded or failed in the last tick, in words. */
  problems: Record<string, unknown>;
  changed_at: string | null;
  changed_by: string | null;
}

export interface ControllerDay {
  /** Decisions that reached a run. */
  changes: number;
  better: number;
  worse: number;
  /** Taken back, by verdict or by a person. */
  undone: number;
  /** Proposals that wait for a person's answer now. */
  waiting: number;
  /** The newest of those changes, at most five. */
  latest: Acted[];
}

export type ControllerMode = "off" | "observe" | "advise" | "act";

export interface Copy {
  sha256: string;
  size_bytes: number;
}

export interface Counted {
  count: number;
}

export interface DayOfRuns {
  finished: number;
  /** Failed or lost. */
  failed: number;
  /** How many ended in each hour, the present one last. */
  hours: number[];
}

export interface DayScore {
  better: number;
  same: number;
  worse: number;
  unclear: number;
  /** Mean logarithm of measured against forecast, positive where the metric was better; null without a figure. */
  mean_gain: number | null;
  /** How many of them have a figure. */
  gains: number;
  /** In UTC, by when the verdict fell. */
  day: string;
}

export interface Decision {
  id: number;
  run: string;
  policy: string;
  state: DecisionState;
  mode: DecisionMode;
  verb: string;
  tunable: string;
  old_value: unknown;
  new_value: unknown;
  changes: unknown;
  urgent: boolean;
  trial: boolean;
  reason: string;
  evidence: Record<string, unknown>;
  expected: Record<string, unknown>;
  forecast: Record<string, unknown>;
  decided_step: number;
  applied_step: number | null;
  judge_at_step: number;
  created_at: string;
  blocked_by: string;
  /** Its number in the run. */
  command: number | null;
  undo_command: number | null;
  verdict: "better" | "same" | "worse" | "unclear";
  measured: Record<string, unknown>;
  held80: boolean | null;
  held90: boolean | null;
  judged_at: string | null;
  decided_by: string | null;
}

export type DecisionMode = "observe" | "advise" | "act" | "shadow";

export type DecisionState = "recorded" | "proposed" | "blocked" | "rejected" | "sent" | "applied" | "judged" | "undone" | "expired";

export interface Delivery {
  id: number;
  channel: number;
  event: string;
  rule: string | null;
  count: number;
  state: DeliveryState;
  tries: number;
  next_at: string;
  sent_at: string | null;
  error: string;
  created_at: string;
}

export type DeliveryState = "waiting" | "sent" | "failed";

export interface Dependency {
  /** The job or group that is waited for. */
  code: string;
  when: "ok" | "any" | "failed";
  /** The job's; null of a group, and once it was deleted. */
  state: string | null;
}

export interface Device {
  kind: DeviceKind;
  index: number;
  name: string;
  uuid: string;
  memory_total_bytes: number | null;
  healthy: boolean;
  health_reason: string;
  latest: Record<string, unknown>;
  /** [{pid, memory_used_bytes, user, command, started_at, run, run_name, hidden}]; run is null for a process of no live run of yours; hidden: it carries another code, and its user and command are not told. */
  processes: Record<string, unknown>[];
  /** Whether a run holds it. */
  busy: boolean;
  /** The code of the run that holds it; null for none, or where you have no role in its project. */
  busy_with: string | null;
  /** That run's name; null where its code is. */
  busy_with_name: string | null;
}

export interface DeviceCount {
  total: number;
  busy: number;
}

export type DeviceKind = "cpu" | "gpu";

export interface DevicePoint {
  kind: string;
  devices: number;
  /** Useful samples a second. */
  goodput: number;
  samples_per_second: number;
  efficiency: number;
  batch: number;
  /** Over one device of the kind. */
  speedup: number;
}

export interface Drain {
  /** Jobs that leave at a checkpoint. */
  leaving: number;
  /** Jobs that save none, or may not be asked, and stay to their end. */
  staying: number;
}

export interface Effect {
  /** Its number in the run. */
  command: number;
  group: string;
  metric: string;
  forecast: Record<string, unknown>;
  applied_step: number;
  judge_at_step: number;
  verdict: "better" | "same" | "worse" | "unclear";
  measured: Record<string, unknown>;
  created_at: string;
  judged_at: string | null;
}

export interface Error {
  /** What was wrong, in one sentence. */
  detail: string;
  /** Sentences by field, "points[3].step" for what is inside of one; empty where no field is at fault. */
  fields: Record<string, string[]>;
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
  /** How many runs are in each state; states without a run are left out. */
  run_counts: Record<string, number>;
  controller_mode: string;
}

export interface Figure {
  key: string;
  /** A number, or "NaN", "Infinity", "-Infinity". */
  value: unknown;
}

export interface Finish {
  state: "finished" | "failed" | "stopped";
  reason?: string;
}

export interface Forecasts {
  compared: number;
  /** Within the 80 % interval. */
  held80: number;
  held90: number;
  share80: number | null;
  share90: number | null;
}

export interface Fork {
  checkpoint: number;
  name?: string;
  /** Instead of the old job's. */
  argv?: string[];
  /** Changes of the old job's; null leaves a variable out. */
  env?: Record<string, string | null>;
  /** Changes of the old run's, recorded with the new one. */
  config?: unknown;
  device_kind?: DeviceKind;
  min_devices?: number;
  max_devices?: number;
  priority?: number;
  max_retries?: number;
}

export interface Git {
  url?: string;
  revision: string;
  branch?: string;
  /** Whether the files differ from the revision. */
  dirty?: boolean;
}

export interface Goodput {
  job: string;
  measured: StepTime[];
  noise_scale: number | null;
  /** Per kind of device: the throughput model's parameters and spreads. */
  models: Record<string, unknown>;
  table: DevicePoint[];
  /** Why there is no model, where there is none. */
  note: string;
}

export interface Histogram {
  step: number;
  branch: number;
  edges: number[];
  counts: number[];
}

export interface HistogramsAnswer {
  total: number;
  histograms: Histogram[];
}

export interface HistoryAnswer {
  since: string;
  until: string;
  attempts: PastAttempt[];
  faults: PastFault[];
  sums: NodeSums;
  /** What becomes of what runs there; null where the node is not draining. */
  drain: Drain | null;
}

export interface Hits {
  /** Lines of the whole log. */
  total: number;
  /** [number, seconds since the epoch, stream, text] */
  hits: unknown[][];
  /** Where to look on; null: all was looked at. */
  before: number | null;
}

export interface Importance {
  metric: string;
  /** When: runs that ended since are not in it as they ended. */
  at: string;
  /** With a finite last value of the metric; the newest are taken. */
  runs: number;
  /** Runs without one. */
  left_out: number;
  /** R² of the forest on unseen runs; null with too few runs for one. */
  explained: number | null;
  settings: ImportantSetting[];
}

export interface ImportantSetting {
  /** Dotted path in the config. */
  name: string;
  kind: "number" | "words";
  /** How many different ones. */
  values: number;
  /** That have the setting. */
  runs: number;
  /** Spearman's, -1 to 1; null for words. */
  correlation: number | null;
  /** What shuffling it costs of the explained share; null without a forest. */
  importance: number | null;
  /** Standard deviation of that over folds and repeats. */
  spread: number | null;
}

export interface Invitation {
  id: number;
  name: string;
  prefix: string;
  made_by: string | null;
  created_at: string;
  expires_at: string | null;
}

export interface Invite {
  /** For whom it is, to tell it apart. */
  name?: string;
  expires_in_minutes?: number;
}

export interface InviteAnswer {
  id: number;
  name: string;
  prefix: string;
  made_by: string | null;
  created_at: string;
  expires_at: string | null;
  token: string;
}

export interface Job {
  code: string;
  run: string;
  run_name: string;
  run_state: string;
  experiment: number;
  project: string;
  argv: string[];
  cwd: string;
  working_copy: Copy | null;
  /** url, revision, branch, dirty, and the commit that a node found. */
  git: Record<string, unknown>;
  device_kind: DeviceKind;
  device_name: string;
  device_memory_bytes: number | null;
  memory_bytes: number | null;
  node_labels: Record<string, string>;
  deadline: string | null;
  group: string | null;
  group_name: string | null;
  group_index: number | null;
  after: Dependency[];
  min_devices: number;
  max_devices: number;
  launcher: "once" | "torchrun";
  max_nodes: number;
  keep: "batch" | "rate-rule";
  wanted_devices: number | null;
  priority: number;
  preemptible: "saved" | "always" | "never";
  max_retries: number;
  retries_used: number;
  state: JobState;
  waiting_reason: string;
  /** Of a waiting job near the front: when it will start, and why then. */
  outlook: Outlook;
  submitted_by: string | null;
  submitted_at: string;
  ended_at: string | null;
  usage: Record<string, unknown>;
  /** Of its run, while that goes on; else null. */
  progress: Progress | null;
  attempts: Attempt[];
}

export interface JobGroup {
  code: string;
  name: string;
  /** The value of its runs in the column `group`: `NAME · CODE`. */
  label: string;
  kind: JobGroupKind;
  axes: Record<string, string[]>;
  count: number;
  at_once: number | null;
  experiment: number;
  project: string;
  submitted_by: string | null;
  submitted_at: string;
  /** How many are queued, active, done, failed, stopped. */
  jobs: Record<string, number>;
}

export type JobGroupKind = "grid" | "array";

export type JobState = "queued" | "active" | "done" | "failed" | "stopped";

export interface Join {
  node: string;
  hostname: string;
}

export interface JoinAnswer {
  /** Of the host's worker. */
  environment: Record<string, string>;
}

export interface KeyInfo {
  key: string;
  points: number;
  first_step: number | null;
  last_step: number | null;
  /** Or "NaN", "Infinity", "-Infinity". */
  last_value: number | null;
  /** Seconds since the epoch. */
  last_time: number | null;
  low: number | null;
  high: number | null;
  non_finite: number;
}

export interface KeysPage {
  next: string | null;
  previous: string | null;
  results: KeyInfo[];
}

export interface Labels {
  /** All that the node has from then on: {name: text}. Jobs ask for them by name and value. */
  labels: Record<string, string>;
}

export type Learning = "use" | "teach" | "off";

export interface Lineage {
  relatives: Relative[];
  /** `relatives` has the newest of them. */
  children_total: number;
  adoptions: Adoption[];
}

export interface ListedView {
  code: string;
  experiment: number;
  name: string;
  /** Seen by all who see the experiment; else by its owner alone. */
  shared: boolean;
  owner: string | null;
  mine: boolean;
  created_at: string;
  updated_at: string;
}

export interface LogPage {
  first_line: number;
  total: number;
  /** [seconds since the epoch, stdout or stderr, text] */
  lines: unknown[][];
  /** What is being written, such as a progress bar; with the last page of a run that goes on. */
  open_lines: OpenLines[];
}

export interface Mark {
  kind: "command" | "decision" | "checkpoint" | "event" | "alert";
  id: number;
  step: number | null;
  at: string;
  label: string;
  tone: "neutral" | "good" | "bad" | "warning";
  /** Add it to `at` for the time by the clock of the run's process then, which its points have. */
  clock_ahead_seconds: number;
  /** The run's code, where several were asked for. */
  run: string;
}

export interface MarksPage {
  next: string | null;
  previous: string | null;
  results: Mark[];
}

export interface Matching {
  where?: string[];
  filter?: string;
  find?: string;
}

export interface Me {
  username: string;
  is_admin: boolean;
  version: string;
  projects: Project[];
}

export interface Media {
  id: number;
  key: string;
  kind: MediaKind;
  step: number;
  branch: number;
  place: number;
  at: number;
  caption: string;
  name: string;
  size_bytes: number;
  content_type: string;
  /** width and height, rows and columns, edges and counts. */
  data: Record<string, unknown>;
}

export interface MediaKey {
  key: string;
  kind: MediaKind;
  count: number;
  first_step: number;
  last_step: number;
  size_bytes: number;
}

export interface MediaKeysPage {
  next: string | null;
  previous: string | null;
  results: MediaKey[];
}

export type MediaKind = "image" | "audio" | "table" | "histogram" | "text" | "file";

export interface Member {
  username: string;
  role: Role;
}

export interface MembersPage {
  next: string | null;
  previous: string | null;
  results: Member[];
}

export interface NamedCount {
  name: string;
  runs: number;
}

export interface Need {
  /** database or broker */
  what: string;
  host: string;
  port: number;
}

export interface NewChannel {
  id: number;
  project: string | null;
  name: string;
  kind: ChannelKind;
  target: string;
  tell_resolved: boolean;
  enabled: boolean;
  created_by: string | null;
  created_at: string;
  /** Signs each message; it is shown this once. */
  secret: string;
}

export interface NewCommand {
  verb: string;
  tunable?: string;
  value?: unknown;
  reason?: string;
  at_step?: number | null;
  /** Asked again, it is asked once. */
  key?: string;
}

export interface NewGroup {
  experiment?: number;
  project?: string;
  experiment_name?: string;
  name?: string;
  /** The command as a list of arguments; no shell reads it. */
  argv: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** The SHA-256 of files that were sent to projects/{slug}/copies. */
  working_copy?: string;
  git?: Git;
  /** Labels that its nodes must have: {name: value}. */
  node_labels?: Record<string, string>;
  /** A part of the devices' name, such as h100. */
  device_name?: string;
  device_memory_bytes?: number | null;
  /** Main memory reserved on each of its nodes, and its limit there. */
  memory_bytes?: number | null;
  /** Waiting or running, it is ended then. */
  deadline?: string | null;
  /** What it waits for: CODE (to end well), CODE:any or CODE:failed of jobs, runs or groups. */
  after?: string[];
  device_kind?: DeviceKind;
  min_devices?: number;
  max_devices?: number;
  /** torchrun: the command runs once for each device, as the ranks of one training. * `once` - Once * `torchrun` - Torchrun */
  launcher?: "once" | "torchrun";
  max_nodes?: number;
  /** What stays as it is when the number of ranks changes: the effective batch, or what each rank does. * `batch` - Batch * `rate-rule` - Rate Rule */
  keep?: "batch" | "rate-rule";
  priority?: number;
  /** Whether it may be asked to leave for another job; saved: when its process saves checkpoints. * `saved` - Saved * `always` - Always * `never` - Never */
  preemptible?: "saved" | "always" | "never";
  max_retries?: number;
  config?: unknown;
  tags?: string[];
  /** Values by setting: {"lr": ["1e-4", "1e-3"]}. One job for each combination. */
  grid?: Record<string, string[]>;
  /** 0-99, 0-99:10 (every tenth), 0-99%8 (at most 8 at once). */
  array?: string;
  at_once?: number | null;
}

export interface NewGroupAnswer {
  code: string;
  name: string;
  /** The value of its runs in the column `group`: `NAME · CODE`. */
  label: string;
  kind: JobGroupKind;
  axes: Record<string, string[]>;
  count: number;
  at_once: number | null;
  experiment: number;
  project: string;
  submitted_by: string | null;
  submitted_at: string;
  /** How many are queued, active, done, failed, stopped. */
  jobs: Record<string, number>;
  /** Codes of the first 1,000 runs, in the grid's order. */
  runs: string[];
}

export interface NewJob {
  experiment?: number;
  project?: string;
  experiment_name?: string;
  name?: string;
  /** The command as a list of arguments; no shell reads it. */
  argv: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** The SHA-256 of files that were sent to projects/{slug}/copies. */
  working_copy?: string;
  git?: Git;
  /** Labels that its nodes must have: {name: value}. */
  node_labels?: Record<string, string>;
  /** A part of the devices' name, such as h100. */
  device_name?: string;
  device_memory_bytes?: number | null;
  /** Main memory reserved on each of its nodes, and its limit there. */
  memory_bytes?: number | null;
  /** Waiting or running, it is ended then. */
  deadline?: string | null;
  /** What it waits for: CODE (to end well), CODE:any or CODE:failed of jobs, runs or groups. */
  after?: string[];
  device_kind?: DeviceKind;
  min_devices?: number;
  max_devices?: number;
  /** torchrun: the command runs once for each device, as the ranks of one training. * `once` - Once * `torchrun` - Torchrun */
  launcher?: "once" | "torchrun";
  max_nodes?: number;
  /** What stays as it is when the number of ranks changes: the effective batch, or what each rank does. * `batch` - Batch * `rate-rule` - Rate Rule */
  keep?: "batch" | "rate-rule";
  priority?: number;
  /** Whether it may be asked to leave for another job; saved: when its process saves checkpoints. * `saved` - Saved * `always` - Always * `never` - Never */
  preemptible?: "saved" | "always" | "never";
  max_retries?: number;
  config?: unknown;
  tags?: string[];
}

export interface NewMedia {
  /** The sender's own name for it: what is sent twice is stored once. */
  uid: string;
  key: string;
  kind: MediaKind;
  step: number;
  branch?: number;
  place?: number;
  at: number;
  caption?: string;
  name?: string;
  sha256?: string;
  data?: unknown;
}

export interface NewMediaList {
  items: NewMedia[];
}

export interface NewQuota {
  kind: DeviceKind;
  devices: number;
  borrow?: number | null;
}

export interface NewRun {
  experiment?: number;
  project?: string;
  experiment_name?: string;
  name?: string;
  config?: unknown;
  tags?: string[];
  notes?: string;
  parent?: string | null;
  parent_step?: number | null;
  session?: string;
}

export interface NewRunAnswer {
  code: string;
  name: string;
  experiment: number;
  experiment_name: string;
  project: string;
  state: RunState;
  /** Live, but not heard of for a while. */
  silent: boolean;
  config: unknown;
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
  branches: Record<string, unknown>[];
  summary: unknown;
  /** Device time, energy and money of its attempts; null is unknown, {} not counted yet. */
  usage: unknown;
  process: unknown;
  actions: Record<string, unknown>[];
  offers: Record<string, unknown>[];
  job: string | null;
  /** Name and code of the grid or array that its job is of, as `NAME · CODE`. */
  group: string | null;
  /** Of a run that goes on; else null. */
  progress: Progress | null;
  /** Your own role: viewer, operator or admin. */
  can: string;
  token: string;
}

export interface NewSchedule {
  tunable: string;
  shape: string;
  at_step: number;
  value?: unknown;
  factor?: number | null;
  every?: number | null;
  until_step?: number | null;
  until_value?: number | null;
  reason?: string;
}

export interface NewToken {
  name: string;
  expires_in_days?: number | null;
}

export interface NewTokenAnswer {
  id: number;
  name: string;
  prefix: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  token: string;
}

export interface NewViewLink {
  expires_in_days?: number;
}

export interface NewViewLinkAnswer {
  id: number;
  prefix: string;
  created_by: string | null;
  created_at: string;
  expires_at: string;
  last_used_at: string | null;
  token: string;
}

export interface Node {
  name: string;
  hostname: string;
  state: NodeState;
  cordoned: boolean;
  draining: boolean;
  passed_over_until: string | null;
  passed_over_reason: string;
  labels: Record<string, unknown>;
  system: Record<string, unknown>;
  latest: Record<string, unknown>;
  last_seen_at: string | null;
  devices: Device[];
}

export interface NodeCount {
  online: number;
  silent: number;
  lost: number;
}

export type NodeState = "online" | "silent" | "lost";

export interface NodeSums {
  device_seconds: number;
  energy_joules: number | null;
  cost: number | null;
  currency: string;
}

export interface NonFinite {
  step: number;
  x: number;
  kind: "NaN" | "Infinity" | "-Infinity";
}

export interface Notice {
  /** proposal, alert, later others: a page shows what it does not know by its text. */
  kind: string;
  id: number;
  at: string;
  title: string;
  text: string;
  run: string;
  run_name: string;
  experiment: number | null;
  tone: "neutral" | "warning" | "bad";
  /** Your own role there: an operator may answer. Empty: only the site's administrator may. */
  can: string;
  /** What the kind tells of itself. */
  data: unknown;
}

export interface NoticePage {
  next: string | null;
  previous: string | null;
  results: Notice[];
}

export interface OpenLines {
  /** The process, or the part of a job, that writes them. */
  sender: string;
  /** "rank 0" or a node's name, of a run of several processes or nodes; empty of one alone. */
  whose: string;
  lines: unknown[][];
}

export interface Outlook {
  /** null: nobody knows. */
  starts_at: string | null;
  /** What it is known by: asked, pace, history. */
  by: string;
  /** What has to happen first. */
  words: string;
}

export interface Overview {
  /** At most 50 of them. */
  running: Run[];
  /** How many run. */
  live: number;
  queued: number;
  /** Those that go on before those that ended; 50 at most. */
  needs_attention: RunInNeed[];
  /** How many need attention, with those that are not told: `needs` has them all. */
  in_need: number;
  nodes: NodeCount;
  devices: DeviceCount;
  store: StoreSize;
  controller: ControllerDay;
  day: DayOfRuns;
  /** As in `queue`: why nothing is placed, where the ticks are late. */
  stalled: string;
}

export interface PastAttempt {
  /** Null where you have no role in its project. */
  run: string | null;
  run_name: string;
  experiment: number | null;
  devices: string[];
  started_at: string;
  ended_at: string | null;
  outcome: string;
  device_seconds: number | null;
  energy_joules: number | null;
  cost: number | null;
}

export interface PastFault {
  at: string;
  until: string | null;
  device: string;
  kind: "xid" | "ecc" | "throttle";
  text: string;
  count: number;
  /** Codes of your runs on the device then. */
  runs: string[];
  /** How many runs of projects you have no role in. */
  others: number;
}

export interface PatchedChannel {
  id?: number;
  project?: string | null;
  name?: string;
  kind?: ChannelKind;
  target?: string;
  tell_resolved?: boolean;
  enabled?: boolean;
  created_by?: string | null;
  created_at?: string;
}

export interface PatchedControllerChange {
  mode?: ControllerMode;
  learning?: Learning;
  policies?: unknown;
  guards?: unknown;
}

export interface PatchedExperiment {
  id?: number;
  project?: string;
  slug?: string;
  name?: string;
  notes?: string;
  goal_metric?: string;
  goal_direction?: "min" | "max";
  goal_target?: number | null;
  budget_device_hours?: number | null;
  deadline?: string | null;
  archived?: boolean;
  created_at?: string;
  created_by?: string | null;
  /** How many runs are in each state; states without a run are left out. */
  run_counts?: Record<string, number>;
  controller_mode?: string;
}

export interface PatchedProject {
  slug?: string;
  name?: string;
  /** Your own role here. */
  role?: string;
  created_at?: string;
}

export interface PatchedRule {
  id?: number;
  project?: string | null;
  experiment?: number | null;
  name?: string;
  condition?: string;
  parameters?: unknown;
  severity?: Severity;
  hold_seconds?: number;
  quiet_seconds?: number;
  enabled?: boolean;
  muted_until?: string | null;
  channels?: number[];
  looked_until?: string | null;
  problem?: string;
  created_by?: string | null;
  created_at?: string;
  /** How many of its alerts that you may see are firing. */
  firing?: number;
}

export interface PatchedRun {
  code?: string;
  name?: string;
  experiment?: number;
  experiment_name?: string;
  project?: string;
  state?: RunState;
  /** Live, but not heard of for a while. */
  silent?: boolean;
  config?: unknown;
  tags?: string[];
  notes?: string;
  created_by?: string | null;
  created_at?: string;
  started_at?: string | null;
  ended_at?: string | null;
  last_seen_at?: string | null;
  last_step?: number | null;
  parent?: string | null;
  parent_step?: number | null;
  branches?: Record<string, unknown>[];
  summary?: unknown;
  /** Device time, energy and money of its attempts; null is unknown, {} not counted yet. */
  usage?: unknown;
  process?: unknown;
  actions?: Record<string, unknown>[];
  offers?: Record<string, unknown>[];
  job?: string | null;
  /** Name and code of the grid or array that its job is of, as `NAME · CODE`. */
  group?: string | null;
  /** Of a run that goes on; else null. */
  progress?: Progress | null;
  /** Your own role: viewer, operator or admin. */
  can?: string;
}

export interface PatchedSavedView {
  code?: string;
  experiment?: number;
  name?: string;
  /** `{version: 1, layout, table, drawn, others, panels}`, at most 256 KiB. */
  state?: unknown;
  /** Seen by all who see the experiment; else by its owner alone. */
  shared?: boolean;
  owner?: string | null;
  mine?: boolean;
  created_at?: string;
  updated_at?: string;
}

export interface PieceAnswer {
  /** Bytes of the file that are here: send on from there. */
  have: number;
  whole: boolean;
}

export interface Pin {
  pinned: boolean;
}

export interface Place {
  line: number;
  step: number | null;
  time: number | null;
}

export interface PlaceInQueue {
  /** Code of the waiting job that it comes right before. */
  before?: string;
  /** Or of that which it comes right behind. */
  behind?: string;
}

export interface PlannedChange {
  seq: number;
  at_step: number;
  value: unknown;
  state: string;
}

export interface Point {
  key: string;
  step: number;
  /** A number, or "NaN", "Infinity", "-Infinity". */
  value: number;
  /** Seconds since the epoch; now when left out. */
  time?: number;
}

export interface Points {
  points: Point[];
}

export interface Policy {
  name: string;
  summary: string;
  defaults: Record<string, unknown>;
}

export interface Preset {
  name: string;
  condition: string;
  parameters: unknown;
  severity: string;
  hold_seconds: number;
  told: string;
}

export interface PreviewAnswer {
  since: string;
  until: string;
  /** Subjects that were looked at. */
  looked_at: number;
  /** How often it would have held. */
  count: number;
  /** The newest 500, newest first. */
  spans: PreviewSpan[];
}

export interface PreviewSpan {
  subject: string;
  label: string;
  run: string | null;
  node: string | null;
  start: string;
  /** Null: it still holds, or did when its run ended. */
  end: string | null;
  value: number | null;
  step: number | null;
  message: string;
}

export interface PreviewWanted {
  project?: string | null;
  experiment?: number | null;
  condition: string;
  parameters?: unknown;
  hold_seconds?: number;
  hours?: number;
}

export interface Prioritised {
  /** Jobs that wait and have this priority now. */
  changed: number;
  /** The priorities that they had before. */
  was: number[];
}

export interface Priority {
  priority: number;
}

export interface Progress {
  step: number | null;
  /** Where it ends by its control of that or its config; null: nobody knows. */
  total_steps: number | null;
  /** As it was logged last, else on average since it started. */
  step_seconds: number | null;
}

export interface Project {
  slug: string;
  name: string;
  /** Your own role here. */
  role: string;
  created_at: string;
}

export interface ProjectQuota {
  quotas: Quota[];
}

export interface Queue {
  waiting: Job[];
  active: Job[];
  /** Grids and arrays of these jobs, with what became of all of theirs. */
  groups: JobGroup[];
  devices: DeviceCount;
  shares: Share[];
  /** Why nothing is placed and what to do, in a sentence, where the site's ticks are late; else empty. */
  stalled: string;
}

export interface Quota {
  kind: DeviceKind;
  /** Its own: given back to it when it asks. */
  devices: number;
  /** How many more it may have while they are idle; null: any number. */
  borrow: number | null;
  /** What it holds now, borrowed ones included. */
  used: number;
  /** In words, what is promised beyond the devices that exist; empty where it is there. */
  beyond: string;
}

export interface Rank {
  rank: number;
  /** The node's name in a job, else the host's. */
  node: string;
  pid: number | null;
  local_rank: number | null;
  /** gpu0 and so on where it is one of the node's, else as told; cpu. */
  device: string;
  connected_at: string;
  /** Median of its newest 50 steps. */
  step_seconds: number | null;
  /** Of a step, before it meets the other ranks: waiting for data, forward pass. */
  apart_seconds: number | null;
  /** apart_seconds over the middle of all ranks. */
  times_the_middle: number | null;
  /** Whether the others wait for it. */
  straggler: boolean;
}

export interface Ranks {
  world_size: number;
  ranks: Rank[];
  /** Who holds up whom, in words; empty for nobody. */
  sentence: string;
}

export interface Read {
  sources: string[];
  keys: string[];
  width?: number;
  /** step, relative_step, time, relative or a key. */
  x?: string;
  start?: number | null;
  end?: number | null;
}

export interface ReadAnswer {
  series: Buckets[];
}

export interface Reason {
  reason?: string;
}

export interface RefusedRun {
  code: string;
  name: string;
  reason: string;
}

export interface Relative {
  code: string;
  name: string;
  state: string;
  experiment: number;
  experiment_name: string;
  /** -1 is the parent, 1 a child. */
  generation: number;
  parent: string | null;
  parent_step: number | null;
  /** The id of the parent's checkpoint that it began from; null: not known. */
  checkpoint: number | null;
  last_step: number | null;
  created_at: string;
  /** Its last value of the experiment's goal metric, else of its loss. */
  figure: Figure | null;
}

export interface ReplayAnswer {
  decisions: Decision[];
  /** Policies that failed, in words. */
  problems: Record<string, unknown>;
  /** At how many moments of the run the policies were asked. */
  moments: number;
}

export interface ReplayWanted {
  policies?: string[];
}

export interface Request {
  run: string;
  name: string;
  experiment: number;
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  config: Record<string, unknown>;
  tags: string[];
  working_copy: string | null;
  git: Record<string, unknown>;
  node_labels: Record<string, string>;
  device_kind: string;
  device_name: string;
  device_memory_bytes: number | null;
  memory_bytes: number | null;
  min_devices: number;
  max_devices: number;
  launcher: string;
  max_nodes: number;
  keep: string;
  priority: number;
  max_retries: number;
}

export interface Requeue {
  /** Go on from this one of the run's instead. */
  checkpoint?: number;
}

export interface Requeued {
  queued: number;
}

export interface Rescues {
  made: number;
  better: number;
}

export interface ResetWanted {
  policy?: string;
}

export interface Restarts {
  made: number;
  better: number;
}

export type Role = "viewer" | "operator" | "admin";

export interface Rule {
  id: number;
  project: string | null;
  experiment: number | null;
  name: string;
  condition: string;
  parameters: unknown;
  severity: Severity;
  hold_seconds: number;
  quiet_seconds: number;
  enabled: boolean;
  muted_until: string | null;
  channels: number[];
  looked_until: string | null;
  problem: string;
  created_by: string | null;
  created_at: string;
  /** How many of its alerts that you may see are firing. */
  firing: number;
}

export interface Run {
  code: string;
  name: string;
  experiment: number;
  experiment_name: string;
  project: string;
  state: RunState;
  /** Live, but not heard of for a while. */
  silent: boolean;
  config: unknown;
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
  branches: Record<string, unknown>[];
  summary: unknown;
  /** Device time, energy and money of its attempts; null is unknown, {} not counted yet. */
  usage: unknown;
  process: unknown;
  actions: Record<string, unknown>[];
  offers: Record<string, unknown>[];
  job: string | null;
  /** Name and code of the grid or array that its job is of, as `NAME · CODE`. */
  group: string | null;
  /** Of a run that goes on; else null. */
  progress: Progress | null;
  /** Your own role: viewer, operator or admin. */
  can: string;
}

export interface RunColumns {
  count: number;
  metrics: NamedCount[];
  settings: Setting[];
  tags: NamedCount[];
}

export interface RunCondition {
  state: "healthy" | "early" | "diverged" | "recovering" | "recovered" | "plateau" | "stalled" | "silent" | "slow_loader" | "ended";
  /** What the word rests on: metric, kind, step of the onset, since, level, healthy, peak and the change before it mended; gain over steps; share; seconds. */
  figures: Record<string, unknown>;
  step: number | null;
  /** null: the run does not say where it ends. */
  total_steps: number | null;
  step_seconds: number | null;
  /** null: unknown. */
  eta_seconds: number | null;
}

export interface RunCount {
  count: number;
  /** When the newest of them was made. */
  newest: string | null;
  states: Record<string, number>;
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
  data: unknown;
}

export interface RunGroup {
  /** In the order of `by`: a number, a text, or null where a run has none. */
  values: unknown[];
  count: number;
  /** How many of them go on. */
  live: number;
  statistics: Record<string, RunStatistics>;
}

export interface RunGroups {
  by: string[];
  /** Runs that match. */
  total: number;
  /** Groups there are; at most 1000 are answered. */
  groups_total: number;
  groups: RunGroup[];
}

export interface RunInNeed {
  code: string;
  name: string;
  experiment: number;
  experiment_name: string;
  project: string;
  state: RunState;
  /** Live, but not heard of for a while. */
  silent: boolean;
  config: unknown;
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
  branches: Record<string, unknown>[];
  summary: unknown;
  /** Device time, energy and money of its attempts; null is unknown, {} not counted yet. */
  usage: unknown;
  process: unknown;
  actions: Record<string, unknown>[];
  offers: Record<string, unknown>[];
  job: string | null;
  /** Name and code of the grid or array that its job is of, as `NAME · CODE`. */
  group: string | null;
  /** Of a run that goes on; else null. */
  progress: Progress | null;
  /** Your own role: viewer, operator or admin. */
  can: string;
  /** What is wrong, in words. */
  attention: string;
}

export type RunState = "queued" | "starting" | "running" | "paused" | "stopping" | "finished" | "failed" | "stopped" | "lost";

export interface RunStatistics {
  /** Runs that have a finite value. */
  count: number;
  mean: number | null;
  /** Of the sample (n - 1); null under two values. */
  deviation: number | null;
  min: number | null;
  max: number | null;
}

export interface SavedView {
  code: string;
  experiment: number;
  name: string;
  /** `{version: 1, layout, table, drawn, others, panels}`, at most 256 KiB. */
  state: unknown;
  /** Seen by all who see the experiment; else by its owner alone. */
  shared: boolean;
  owner: string | null;
  mine: boolean;
  created_at: string;
  updated_at: string;
}

export interface Schedule {
  id: number;
  tunable: string;
  shape: "once" | "repeat" | "cosine";
  asked: unknown;
  asked_by: string;
  reason: string;
  created_at: string;
  cancelled_at: string | null;
  cancelled_by: string;
  /** waiting, or ended: nothing of it waits any more. */
  state: string;
  /** In order of their steps, each with its fate. */
  changes: PlannedChange[];
}

export interface Score {
  policy: string;
  decisions: number;
  /** Those that reached a run. */
  acted: number;
  blocked: number;
  shadow: number;
  taken_back: number;
  verdicts: Verdicts;
  forecasts: Forecasts;
  days: DayScore[];
}

export interface Setting {
  path: string;
  /** How many have it. */
  runs: number;
  /** Whether it is not the same for all of them. */
  differs: boolean;
  /** At most 20, the commonest first. */
  values: string[];
}

export type Severity = "info" | "warning" | "critical";

export interface Share {
  /** Its slug; null for all projects together that are not yours to see. */
  project: string | null;
  kind: DeviceKind;
  /** Devices that its jobs hold. */
  used: number;
  /** Devices of its own. */
  quota: number;
  /** How many more it may have; null: any number. */
  borrow: number | null;
  /** Its jobs that wait for such devices. */
  waiting: number;
  /** How much of what it holds was measured to be used, 0..1. */
  utilisation_ratio: number | null;
}

export interface SharedView {
  name: string;
  experiment_name: string;
  goal_metric: string;
  goal_direction: "min" | "max";
  state: unknown;
  /** Runs that it lists. */
  count: number;
  expires_at: string;
}

export interface SiteAnswer {
  version: string;
  /** {app: its newest migration} */
  tables: Record<string, string>;
  /** The site's clock, seconds since the epoch. */
  now: number;
  needs: Need[];
}

export interface StepTime {
  kind: string;
  devices: number;
  step_seconds: number;
  /** Samples a device works on at once. */
  micro_batch: number;
}

export interface Stopped {
  stopped: number;
}

export interface StoreSize {
  points: number;
  bytes: number;
}

export interface Stored {
  stored: number;
}

export interface Summary {
  experiment: number;
  /** Runs with a decision. */
  runs: number;
  /** How many by state. */
  decisions: Record<string, number>;
  shadow: number;
  /** Decisions that reached a run. */
  changes: number;
  verdicts: Verdicts;
  rescues: Rescues;
  restarts: Restarts;
  trials: Trials;
  taken_back: number;
  /** A lower bound, of changes that were better; null where nothing was measured. */
  saved_steps: number | null;
  saved_seconds: number | null;
  /** Under changes that were worse or taken back. */
  lost_steps: number;
  /** Thrown away by the controller's roll backs. */
  steps_back: number;
  forecasts: Forecasts;
  best: Decision | null;
  sentence: string;
}

export interface TakeBack {
  key?: string;
}

export interface Taken {
  taken: number;
  /** Why, by uid. */
  refused: Record<string, string>;
}

export interface Tally {
  policy: string;
  /** What is done and about how far: `learning_rate x3`, `rollback`. */
  action: string;
  /** Optimiser family, phase of the run, noise of its loss. */
  context: string;
  /** Verdicts, the old ones weighing less; so are all counts. */
  better: number;
  same: number;
  worse: number;
  /** Within what chance gives: teaches nothing of gain or harm. */
  unclear: number;
  /** How many of the verdicts have a figure. */
  gains: number;
  /** Mean gain: a logarithm of measured against forecast, positive for better. */
  mean: number;
  /** Sum of the gains' squared deviations from their mean. */
  squares: number;
}

export interface Tick {
  task: string;
  every_seconds: number;
  /** Null: not since the broker was emptied. */
  done_at: string | null;
  late: boolean;
  /** How long the last one took. */
  seconds: number | null;
  /** How often it raised since the broker was emptied. */
  failed: number;
}

export interface Token {
  id: number;
  name: string;
  prefix: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface Trials {
  made: number;
  kept: number;
  taken_back: number;
  open: number;
}

export interface Tunable {
  name: string;
  kind: TunableKind;
  value: unknown;
  initial: unknown;
  low: number | null;
  high: number | null;
  scale: "linear" | "log";
  choices: unknown;
  role: string;
  description: string;
  about: unknown;
  changed_at: string | null;
  changed_step: number | null;
  changed_by: string;
}

export type TunableKind = "float" | "int" | "bool" | "choice";

export interface Usage {
  device_seconds: number;
  joules: number | null;
  power_seconds: number;
  rate_per_hour: number | null;
  cost: number | null;
  currency: string;
  counted_until: string;
  settled: boolean;
}

export interface Verdicts {
  better: number;
  same: number;
  worse: number;
  unclear: number;
  /** Mean logarithm of measured against forecast, positive where the metric was better; null without a figure. */
  mean_gain: number | null;
  /** How many of them have a figure. */
  gains: number;
}

export interface ViewLink {
  id: number;
  prefix: string;
  created_by: string | null;
  created_at: string;
  expires_at: string;
  last_used_at: string | null;
}

export interface Worker {
  name: string;
  hostname: string;
  pid: number;
  /** control, and node.NAME of a node. */
  queues: string[];
  /** Tasks that it does now. */
  running: string[];
  /** Tasks since it started. */
  done: number;
  uptime_seconds: number;
}

export interface Workers {
  /** Those that answered within a second. */
  workers: Worker[];
  ticks: Tick[];
  /** What is to be seen to, in sentences. */
  wrong: string[];
}
