/** What the pages of nodes draw: a heat map of devices over time, and a node's past as lanes. */
import type { Device, Node } from "../api/types";
import type { Columns } from "./columns";

export interface HeatMetric {
  id: "utilisation" | "memory" | "temperature" | "power";
  key: string;
  /** The reading that is full heat, for a device; NaN where it is not known. */
  full: (device: Device) => number;
}

/** 90 °C is where GPUs begin to slow down; power is against the card's own limit. */
export const HEAT_METRICS: HeatMetric[] = [
  { id: "utilisation", key: "utilisation_ratio", full: () => 1 },
  { id: "memory", key: "memory_used_bytes", full: (device) => device.memory_total_bytes ?? NaN },
  { id: "temperature", key: "temperature_celsius", full: () => 90 },
  { id: "power", key: "power_watts", full: (device) => Number(device.latest.power_limit_watts ?? NaN) },
];

export interface HeatRow {
  node: string;
  device: Device;
  key: string; // of the node's series
}

/** A row for each GPU, by node and index. */
export function heatRows(nodes: Node[], metric: HeatMetric): HeatRow[] {
  return nodes.flatMap((node) =>
    node.devices.filter((device) => device.kind === "gpu").map((device) => ({ node: node.name, device, key: `${device.kind}${device.index}/${metric.key}` })),
  );
}

/** The mean of what falls into each of `cells` equal stretches of time, as a share of `full`; NaN where there was no reading. */
export function heatCells(columns: Pick<Columns, "time" | "mean"> | undefined, start: number, end: number, cells: number, full: number): Float64Array {
  const sums = new Float64Array(cells), counts = new Float64Array(cells);
  if (columns && end > start) {
    for (let i = 0; i < columns.time.length; i++) {
      const place = Math.floor(((columns.time[i] - start) / (end - start)) * cells);
      if (place < 0 || place >= cells || !Number.isFinite(columns.mean[i])) continue;
      sums[place] += columns.mean[i];
      counts[place] += 1;
    }
  }
  return sums.map((sum, i) => (counts[i] ? sum / counts[i] / full : NaN));
}

export interface Lane<T> {
  device: string;
  items: { left: number; width: number; item: T }[];
}

/** Lanes by device, each thing where it lies between two moments (ISO), none too thin to see or click. */
export function lanesOf<T extends { devices: string[] }>(
  things: T[], span: (thing: T) => { start: string; end: string | null }, since: string, until: string,
): Lane<T>[] {
  const [first, last] = [Date.parse(since), Date.parse(until)];
  const place = (at: number) => Math.min(1, Math.max(0, (at - first) / Math.max(1, last - first)));
  const lanes = new Map<string, Lane<T>>();
  for (const thing of things) {
    const { start, end } = span(thing);
    const left = place(Date.parse(start)), right = end === null ? 1 : place(Date.parse(end));
    const width = Math.max(0.004, right - left);
    for (const device of thing.devices) {
      const lane = lanes.get(device) ?? { device, items: [] };
      lane.items.push({ left: Math.min(left, 1 - width), width, item: thing });
      lanes.set(device, lane);
    }
  }
  return [...lanes.values()].sort((a, b) => a.device.localeCompare(b.device, "en", { numeric: true }));
}

/** Who a device works for. Work of processes that no run of this site started is nobody's place to take. */
export type Standing = "ill" | "ours" | "others" | "free";

const WORKS = 0.1; // of its computing, or of its memory: a display or a monitor takes less

export function standingOf(device: Device, node?: Pick<Node, "state">): Standing {
  if (!device.healthy || (node && node.state !== "online")) return "ill";
  if (device.busy) return "ours";
  const memory = (device.latest.memory_used_bytes ?? 0) / (device.memory_total_bytes ?? Infinity);
  return device.kind === "gpu" && Math.max(device.latest.utilisation_ratio ?? 0, memory) >= WORKS ? "others" : "free";
}

/** The runs that hold devices of a node, each once, and how many more devices runs of other projects hold. */
export function stillHere({ devices }: Pick<Node, "devices">): { runs: { code: string; name: string }[]; others: number } {
  const held = devices.filter((device) => device.busy);
  const runs = new Map(held.flatMap(({ busy_with, busy_with_name }) => (busy_with ? [[busy_with, busy_with_name ?? busy_with] as const] : [])));
  return { runs: [...runs].map(([code, name]) => ({ code, name })), others: held.filter((device) => !device.busy_with).length };
}

/** How many devices stand in each way. */
export function standings(nodes: Node[], kind: Device["kind"] = "gpu"): Record<Standing, number> {
  const out = { ours: 0, others: 0, free: 0, ill: 0 };
  for (const node of nodes) for (const device of node.devices) if (device.kind === kind) out[standingOf(device, node)] += 1;
  return out;
}
