/** Addresses of the application's pages, and what is in them. */
export type PageName =
  | "overview" | "needs" | "experiment" | "run" | "compare" | "nodes" | "node" | "queue" | "submit" | "alerts" | "settings" | "view" | "shared" | "missing";

export interface Route {
  page: PageName;
  parameters: Record<string, string>;
  query: URLSearchParams;
}

const PATTERNS: [RegExp, PageName, string[]][] = [
  [/^\/$/, "overview", []],
  [/^\/needs$/, "needs", []],
  [/^\/experiments\/(\d+)$/, "experiment", ["id"]],
  [/^\/runs\/([^/]+)$/, "run", ["code"]],
  [/^\/compare$/, "compare", []],
  [/^\/nodes$/, "nodes", []],
  [/^\/nodes\/([^/]+)$/, "node", ["name"]],
  [/^\/queue$/, "queue", []],
  [/^\/submit$/, "submit", []],
  [/^\/alerts$/, "alerts", []],
  [/^\/settings$/, "settings", []],
  [/^\/v\/([^/]+)$/, "view", ["code"]],
  [/^\/shared$/, "shared", []],
];

export function parseRoute(path: string, search = ""): Route {
  const query = new URLSearchParams(search);
  const trimmed = path.length > 1 ? path.replace(/\/+$/, "") || "/" : path;
  for (const [pattern, page, names] of PATTERNS) {
    const match = pattern.exec(trimmed);
    if (match) return { page, parameters: Object.fromEntries(names.map((name, i) => [name, decode(match[i + 1])])), query };
  }
  return { page: "missing", parameters: {}, query };
}

/** Whether an address is one of ours; /admin, /api and files belong to the server. */
export const isOurs = (path: string): boolean => parseRoute(path).page !== "missing";

/** The same address with some query parameters set, or taken out where the value is null or "". */
export function withQuery(path: string, query: URLSearchParams, changes: Record<string, string | null>): string {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  return text ? `${path}?${text}` : path;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % is shown as it is and will simply not be found
  }
}
