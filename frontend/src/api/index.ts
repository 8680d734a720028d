/** Every question the pages ask, by name. */
import { address, ask, askBytes, path, type Query, askByLink, isByLink } from "./client";
import { COLUMNS_TYPE, decodeColumns } from "./columns";
import type { RunRow } from "../lib/table";
import type * as t from "./types";

type Signal = AbortSignal | undefined;
const post = <T>(where: string, body: unknown = {}) => ask<T>(where, { method: "POST", body });
const patch = <T>(where: string, body: unknown) => ask<T>(where, { method: "PATCH", body });

/** A list whole, page after page, up to `most` rows. Plain arrays are taken as they are. */
async function list<T>(where: string, query: Query = {}, signal?: AbortSignal, most = 5000): Promise<T[]> {
  const rows: T[] = [];
  let page = await ask<t.Page<T> | T[]>(where, { query: { limit: 1000, ...query }, signal });
  for (;;) {
    if (Array.isArray(page)) return rows.concat(page);
    rows.push(...page.results);
    if (!page.next || rows.length >= most) return rows;
    // Only path and query: behind a proxy the server may not know the name it is reached by.
    const next = new URL(page.next, location.href);
    page = await ask<t.Page<T>>(next.pathname + next.search, { signal });
  }
}

export const me = (signal?: Signal) => ask<t.Me>("me", { signal });
export const overview = (signal?: Signal) => ask<t.Overview>("overview", { signal });

/** So many of the runs that need a person, and whether there are more behind them. */
export async function needs(count: number, signal?: Signal): Promise<{ rows: t.Overview["needs_attention"]; more: boolean }> {
  let page = await ask<t.Page<t.Overview["needs_attention"][number]>>("needs", { query: { limit: Math.min(count, 200) }, signal });
  const rows = page.results;
  while (page.next && rows.length < count) {
    const next = new URL(page.next, location.href);
    page = await ask(next.pathname + next.search, { signal });
    rows.push(...page.results);
  }
  return { rows, more: page.next !== null };
}

export const experiments = (query: Query = {}, signal?: Signal) => list<t.Experiment>("experiments", query, signal);
export const experiment = (id: string | number, signal?: Signal) => ask<t.Experiment>(path`experiments/${id}`, { signal });
export const createExperiment = (body: Partial<t.Experiment>) => post<t.Experiment>("experiments", body);
export const changeExperiment = (id: number, body: Partial<t.Experiment>) => patch<t.Experiment>(path`experiments/${id}`, body);
export const controller = (id: string | number, signal?: Signal) => ask<t.Controller>(path`experiments/${id}/controller`, { signal });
export const changeController = (id: string | number, body: Partial<t.Controller>) =>
  patch<t.Controller>(path`experiments/${id}/controller`, body);

export const controllerSummary = (id: number, signal?: Signal) => ask<t.ControllerSummary>(path`experiments/${id}/controller/summary`, { signal });
export type OfExperiment = Query & { experiment: number | string };
/** Which settings matter for a metric, over the runs that a query leaves: see training/importance.py. */
export const importance = ({ experiment, ...which }: OfExperiment, metric: string, signal?: Signal) => ask<t.Importance>(path`experiments/${experiment}/importance`, { query: { metric, ...which }, signal });
export const policyScores = (experiment: number, signal?: Signal) => ask<t.PolicyScore[]>("policies", { query: { experiment }, signal });

export const runs = (query: Query = {}, signal?: Signal) => list<t.Run>("runs", query, signal);
/** One page of a list of runs, whose rows hold what `column` asks for; `next` is the address of the one after it. */
export const runPage = (query: Query, signal?: Signal) =>
  isByLink()
    ? ask<t.Page<RunRow>>("shared/runs", { query: { code: query.code, limit: query.limit }, signal })
    : ask<t.Page<RunRow>>("runs", { query, signal });
/** The runs of a group with these values: a link knows its groups, elsewhere the query says what they have in common. */
export const groupPage = (query: Query, values: readonly unknown[], signal?: Signal) =>
  isByLink() ? ask<t.Page<RunRow>>("shared/runs", { query: { group: JSON.stringify(values), limit: query.limit }, signal }) : runPage(query, signal);
export const runsAfter = (next: string, limit: number, columns: readonly string[], signal?: Signal) => {
  // Only path and query: behind a proxy the server may not know the name it is reached by.
  const url = new URL(next, location.href);
  url.searchParams.set("limit", String(limit));
  if (!isByLink()) {
    url.searchParams.delete("column");
    for (const column of columns) url.searchParams.append("column", column);
  }
  return ask<t.Page<RunRow>>(url.pathname + url.search, { signal });
};
export const runCount = (query: Query, signal?: Signal) =>
  isByLink()
    ? ask<t.SharedView>("shared", { signal }).then(({ count }): t.RunCount => ({ count, newest: null, states: {} }))
    : ask<t.RunCount>("runs/count", { query, signal });
export const runColumns = (query: Query, signal?: Signal) => ask<t.RunColumns>("runs/columns", { query, signal });
export const runGroups = (query: Query, signal?: Signal) =>
  isByLink() ? ask<t.RunGroups>("shared/groups", { signal }) : ask<t.RunGroups>("runs/groups", { query, signal });

export const savedViews = (experiment: number, signal?: Signal) => list<t.ListedView>(path`experiments/${experiment}/views`, {}, signal);
export const savedView = (code: string, signal?: Signal) => ask<t.SavedView>(path`views/${code}`, { signal });
export const saveView = (experiment: number, body: { name: string; state: unknown; shared?: boolean }) =>
  post<t.SavedView>(path`experiments/${experiment}/views`, body);
export const changeView = (code: string, body: { name?: string; state?: unknown; shared?: boolean }) => patch<t.SavedView>(path`views/${code}`, body);
export const deleteView = (code: string) => ask<void>(path`views/${code}`, { method: "DELETE" });
export const viewLinks = (code: string, signal?: Signal) => list<t.ViewLink>(path`views/${code}/links`, {}, signal);
export const makeViewLink = (code: string, days: number) => post<t.ViewLink & { token: string }>(path`views/${code}/links`, { expires_in_days: days });
export const revokeViewLink = (code: string, id: number) => ask<void>(path`views/${code}/links/${id}`, { method: "DELETE" });
/** What a link to a view shows; all that is asked after it is asked by the link. */
export const openLink = (token: string) => {
  askByLink(token);
  return ask<t.SharedView>("shared");
};
export const bulk = (body: t.BulkRequest, signal?: Signal) => ask<t.BulkAnswer>("runs/bulk", { method: "POST", body, signal });
/** The first few runs that match, for a menu. */
export const findRuns = async (query: Query, signal?: Signal) => (await ask<t.Page<t.Run>>("runs", { query: { limit: 20, ...query }, signal })).results;
/** Every run that the query finds, with `code` and these columns alone ("config:lr", "metric:loss", fields). */
export const runRows = (query: Query, columns: string[], signal?: AbortSignal): Promise<t.Run[]> => list<t.Run>("runs", { ...query, column: columns }, signal, 10_000);
export const run = (code: string, signal?: Signal) => ask<t.Run>(path`runs/${code}`, { signal });
export const createRun = (body: Partial<t.Run>) => post<t.Run & { token: string }>("runs", body);
export const changeRun = (code: string, body: Partial<t.Run>) => patch<t.Run>(path`runs/${code}`, body);
export const deleteRun = (code: string) => ask<void>(path`runs/${code}`, { method: "DELETE" });
export const keys = (code: string, signal?: Signal) => list<t.KeyInfo>(path`runs/${code}/keys`, {}, signal, 20_000);
export const tunables = (code: string, signal?: Signal) => list<t.Tunable>(path`runs/${code}/tunables`, {}, signal);
export const commands = (code: string, signal?: Signal) => list<t.Command>(path`runs/${code}/commands`, {}, signal);
export const checkpoints = (code: string, signal?: Signal) => list<t.Checkpoint>(path`runs/${code}/checkpoints`, {}, signal);
/** A new run that goes on from one of this one's checkpoints. */
export interface ForkRequest {
  checkpoint: number;
  name?: string;
  argv?: string[];
  env?: Record<string, string | null>;
  config?: t.JsonMap;
  device_kind?: "cpu" | "gpu";
  min_devices?: number;
  max_devices?: number;
  priority?: number;
}
export const forkRun = (code: string, body: ForkRequest) => post<t.Job>(path`runs/${code}/fork`, body);
export const lineage = (code: string, signal?: Signal) => ask<t.Lineage>(path`runs/${code}/lineage`, { signal });
/** The processes of a run, with their pace; none for a run of one. */
export const ranks = (code: string, signal?: Signal) => ask<t.Ranks>(path`runs/${code}/ranks`, { signal });
export const pinCheckpoint = (code: string, id: number, pinned: boolean) => post<t.Checkpoint>(path`runs/${code}/checkpoints/${id}/pin`, { pinned });
export const decisions = (code: string, signal?: Signal) => list<t.Decision>(path`runs/${code}/decisions`, {}, signal);
export const events = (code: string, signal?: Signal) => list<t.RunEvent>(path`runs/${code}/events`, {}, signal);
export const marks = (code: string, signal?: Signal) => list<t.Mark>(path`runs/${code}/marks`, {}, signal);
/** What changed these runs, for charts that draw them together. */
export const marksOf = (codes: string[], signal?: Signal) => list<t.Mark>("marks", { runs: codes.join() }, signal);
/** The newest lines with these words or of this level, from the whole log; older ones by `before`. */
export const logHits = (code: string, query: { search?: string; level?: string; before?: number | null; count?: number }, signal?: Signal) =>
  ask<t.LogHits>(path`runs/${code}/logs/hits`, { query, signal });
/** From a step or a time (seconds since the epoch) to the other, and to the first line written then. */
export const logPlace = (code: string, query: { step?: number; time?: number }, signal?: Signal) => ask<t.LogPlace>(path`runs/${code}/logs/place`, { query, signal });
export const logs = (code: string, query: { start?: number; count?: number; search?: string }, signal?: Signal) =>
  ask<t.LogPage>(path`runs/${code}/logs`, { query, signal });

/** How it does, in a word, and when it will be done. */
export const condition = (code: string, signal?: Signal) => ask<t.Condition>(path`runs/${code}/condition`, { signal });
export const mediaKeys = async (code: string, signal?: Signal) => (await ask<t.Page<t.MediaKey>>(path`runs/${code}/media/keys`, { signal })).results;
/** What a run logged under a key or of a kind, newest first: the newest 5,000. */
export const media = (code: string, query: { key?: string; kind?: string }, signal?: Signal) => list<t.Media>(path`runs/${code}/media`, query, signal);
export const histograms = (code: string, key: string, signal?: Signal) => ask<t.Histograms>(path`runs/${code}/media/histograms`, { query: { key }, signal });
/** The address of an item's bytes. */
export const mediaFile = (code: string, id: number, download = false): string => address(path`runs/${code}/media/${id}/file`, download ? { download: "1" } : {});
export const mediaText = async (code: string, id: number, signal?: Signal): Promise<string> =>
  new TextDecoder().decode(await askBytes(path`runs/${code}/media/${id}/file`, "*/*", { signal }));

export interface CommandRequest {
  verb: t.Verb | (string & {});
  tunable?: string;
  value?: t.Json;
  reason?: string;
  key?: string;
}
export const command = (code: string, body: CommandRequest) => post<t.Command>(path`runs/${code}/commands`, body);

export const changeTogether = (code: string, body: { settings: t.JsonMap; at_step: number | null; reason: string; key: string }) =>
  post<t.Command[]>(path`runs/${code}/changes`, body);
export const undoCommand = (code: string, seq: number) => post<t.Command[]>(path`runs/${code}/commands/${seq}/undo`);
export const commandRuns = (body: { runs: string[]; verb: string; tunable?: string; value?: t.Json; factor?: number; reason?: string; key: string }) =>
  post<t.BulkResult[]>("commands", body);
export const effects = (code: string, signal?: Signal) => list<t.Effect>(path`runs/${code}/effects`, {}, signal);
export const schedules = (code: string, signal?: Signal) => list<t.Schedule>(path`runs/${code}/schedules`, {}, signal);
export const plan = (code: string, body: { tunable: string; shape: string; at_step: number } & Partial<t.JsonMap>) => post<t.Schedule>(path`runs/${code}/schedules`, body);
export const cancelSchedule = (id: number) => post<t.Schedule>(path`schedules/${id}/cancel`);
export const notices = (signal?: Signal) => list<t.Notice>("notices", {}, signal);

export const series = async (body: t.SeriesRequest, signal?: Signal): Promise<t.Buckets[]> =>
  decodeColumns(await askBytes(isByLink() ? "shared/series" : "series/read", COLUMNS_TYPE, { method: "POST", body, signal }));

export const approve = (id: number) => post<t.Decision>(path`decisions/${id}/approve`);
export const reject = (id: number, reason = "") => post<t.Decision>(path`decisions/${id}/reject`, { reason });
export const reopen = (id: number) => post<t.Decision>(path`decisions/${id}/reopen`);
export const undo = (id: number) => post<t.Decision>(path`decisions/${id}/undo`);

/** What the policies would have decided on this run; nothing is stored or sent. */
export const replay = (code: string) => post<t.Replay>(path`runs/${code}/replay`);

export const submitJob = (body: Record<string, unknown>) => post<t.Job>("jobs", body);
export const job = (code: string, signal?: Signal) => ask<t.Job>(path`jobs/${code}`, { signal });
export const submitGroup = (body: Record<string, unknown>) => post<t.NewGroup>("job-groups", body);
export const setQuota = (project: string, body: t.NewQuota) => ask<t.ProjectQuota>(path`projects/${project}/quotas`, { method: "PUT", body });
export const dropQuota = (project: string, kind: t.NewQuota["kind"]) => ask<t.ProjectQuota>(path`projects/${project}/quotas`, { method: "DELETE", body: { kind } });
export const prioritiseGroup = (code: string, priority: number) => post<t.Prioritised>(path`job-groups/${code}/priority`, { priority });
export const stopGroup = (code: string) => post<{ stopped: number }>(path`job-groups/${code}/stop`);
/** What an old job was asked for with, its environment too. */
export const jobRequest = (code: string, signal?: Signal) => ask<t.JobRequest>(path`jobs/${code}/clone`, { signal });
export const stopJob = (code: string) => post<t.Job>(path`jobs/${code}/stop`);
/** A job that is over goes on from its run's newest checkpoint, or from the one that is named. */
export const requeueJob = (code: string, checkpoint?: number) => post<t.Job>(path`jobs/${code}/requeue`, checkpoint === undefined ? {} : { checkpoint });
export const prioritiseJob = (code: string, priority: number) => post<t.Job>(path`jobs/${code}/priority`, { priority });
export const moveJob = (code: string, move: { side: "before" | "behind"; code: string }) => post<t.Job>(path`jobs/${code}/move`, { [move.side]: move.code });
export const queue = (signal?: Signal) => ask<t.Queue>("queue", { signal });

export const nodes = (signal?: Signal) => list<t.Node>("nodes", {}, signal);
export const workers = (signal?: Signal) => ask<t.Workers>("workers", { signal });
export const node = (name: string, signal?: Signal) => ask<t.Node>(path`nodes/${name}`, { signal });
export const nodeHistory = (name: string, hours: number, signal?: Signal) => ask<t.NodeHistory>(path`nodes/${name}/history`, { query: { hours }, signal });
/** Cordon: nothing new. Drain: nothing new, and what runs goes on elsewhere. Uncordon: takes jobs again. */
const cordon = (name: string) => post<t.Node>(path`nodes/${name}/cordon`);
const drain = (name: string) => post<t.Node>(path`nodes/${name}/drain`);
const uncordon = (name: string) => post<t.Node>(path`nodes/${name}/uncordon`);
export const closeNode = (name: string, verb: "cordon" | "drain" | "uncordon") => ({ cordon, drain, uncordon })[verb](name);
export const labelNode = (name: string, labels: Record<string, string>) => ask<t.Node>(path`nodes/${name}/labels`, { method: "PUT", body: { labels } });

/** Lets one host in as a node, once; the token is in this answer alone. */
export const invite = () => post<t.Invitation>("invitations", {});
export const tokens = (signal?: Signal) => list<t.Token>("tokens", {}, signal);
export const createToken = (body: { name: string; expires_in_days?: number }) => post<t.Token>("tokens", body);
export const revokeToken = (id: number) => ask<void>(path`tokens/${id}`, { method: "DELETE" });
