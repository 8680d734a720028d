/** Questions of the page of alerts, apart from the others: they are on the wire with that page alone. */
import { ask, path, type Query } from "./client";
import type { Page } from "./types";
import type * as made from "./schema.made";

export type Alert = made.Alert;
export type Rule = Omit<made.Rule, "parameters"> & { parameters: Record<string, unknown> };
export type Channel = made.Channel;
export type Delivery = made.Delivery;
export type Condition = made.Condition;
export type Preset = Omit<made.Preset, "parameters" | "severity"> & { parameters: Record<string, unknown>; severity: made.Severity };
export type Preview = made.PreviewAnswer;
export type Severity = made.Severity;
export interface Conditions {
  conditions: Condition[];
  presets: Preset[];
}

const send = <T>(method: "POST" | "PATCH", where: string, body: unknown = {}) => ask<T>(where, { method, body });
const page = async <T>(where: string, query: Query, signal?: AbortSignal) => (await ask<Page<T>>(where, { query: { limit: 200, ...query }, signal })).results;

export const alerts = (query: Query, signal?: AbortSignal) => page<Alert>("alerts", query, signal);
/** So many of the newest, page by page, and whether there are more behind them. */
export async function newest(query: Query, count: number, signal?: AbortSignal): Promise<{ rows: Alert[]; more: boolean }> {
  const limit = Math.min(count, 1000); // what the server gives at once
  let found = await ask<Page<Alert>>("alerts", { query: { limit, ...query }, signal });
  const rows = found.results;
  while (found.next && rows.length < count) {
    found = await ask<Page<Alert>>(found.next, { signal });
    rows.push(...found.results);
  }
  return { rows, more: found.next !== null };
}
export const acknowledge = (id: number) => send<Alert>("POST", path`alerts/${id}/acknowledge`);
export const forget = (id: number) => ask<void>(path`alerts/${id}/acknowledge`, { method: "DELETE" });
export const conditions = (signal?: AbortSignal) => ask<Conditions>("alerts/conditions", { signal });
export const rules = (signal?: AbortSignal) => page<Rule>("alerts/rules", { limit: 1000 }, signal);
export const saveRule = (id: number | null, body: Partial<Rule>) =>
  id === null ? send<Rule>("POST", "alerts/rules", body) : send<Rule>("PATCH", path`alerts/rules/${id}`, body);
export const removeRule = (id: number) => ask<void>(path`alerts/rules/${id}`, { method: "DELETE" });
export const restoreRule = (id: number) => send<Rule>("POST", path`alerts/rules/${id}/restore`);
export const preview = (body: unknown, signal?: AbortSignal) => ask<Preview>("alerts/rules/preview", { method: "POST", body, signal });
export const channels = (signal?: AbortSignal) => page<Channel>("alerts/channels", { limit: 1000 }, signal);
export const saveChannel = (id: number | null, body: Partial<Channel>) =>
  id === null ? send<made.NewChannel>("POST", "alerts/channels", body) : send<Channel>("PATCH", path`alerts/channels/${id}`, body);
export const removeChannel = (id: number) => ask<void>(path`alerts/channels/${id}`, { method: "DELETE" });
export const testChannel = (id: number) => send<Delivery>("POST", path`alerts/channels/${id}/test`);
export const deliveries = (signal?: AbortSignal) => page<Delivery>("alerts/deliveries", { limit: 20 }, signal);
