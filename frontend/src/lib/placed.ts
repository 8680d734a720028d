/** Where a run was: its nodes, newest first, with its devices on each. */
import type { Attempt } from "../api/types";

export interface Placed {
  node: string;
  gpus: string[]; // "gpu0"
}

type Told = Pick<Attempt, "node" | "nodes" | "devices">;

/** `known`: the node that the process told of itself, for a run without a job; "" for none. */
export function placesOf(attempts: readonly Told[], known: string): Placed[] {
  const places = new Map<string, Set<string>>();
  for (const { node, nodes, devices } of [...attempts].reverse()) {
    for (const each of nodes.length ? nodes : [node]) if (!places.has(each)) places.set(each, new Set());
    for (const device of devices) {
      // Those of the first node have no node before them, see AttemptSerializer; a node's name may hold slashes itself.
      const at = device.lastIndexOf("/");
      const name = device.slice(at + 1);
      if (name.startsWith("gpu")) places.get(at < 0 ? node : device.slice(0, at))?.add(name);
    }
  }
  if (!places.size && known) places.set(known, new Set());
  return [...places].map(([node, gpus]) => ({ node, gpus: [...gpus].sort(new Intl.Collator("en", { numeric: true }).compare) }));
}
