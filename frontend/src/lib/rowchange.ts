/** What a row that was read again says otherwise than the row that is here. */
import type { RunRow } from "./table";

/** Its settings never change; of its figures those alone that do, so that nothing seems to have moved that has not. */
export function changeOf(before: RunRow, now: RunRow): Partial<RunRow> {
  const { config: _config, summary, ...rest } = now;
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  const change = Object.fromEntries(Object.entries(rest).filter(([name, value]) => differs(value, before[name as keyof RunRow]))) as Partial<RunRow>;
  const figures = Object.fromEntries(Object.entries(summary ?? {}).filter(([key, value]) => differs(value, before.summary?.[key])));
  return Object.keys(figures).length ? { ...change, summary: figures } : change;
}
