/** Options of panels as they were stored, by whatever version: read with care. */
export type Stored = Record<string, unknown>;

export const textOf = (value: unknown, usual = "", longest = 400): string => (typeof value === "string" ? value.slice(0, longest) : usual);
export const oneOf = <T extends string>(value: unknown, all: readonly T[], usual: T): T => (all.includes(value as T) ? (value as T) : usual);
export const listOf = (value: unknown, most = 40): string[] => (Array.isArray(value) ? value.filter((each): each is string => typeof each === "string" && each.length <= 400).slice(0, most) : []);
export const wholeOf = (value: unknown, usual: number, least: number, most: number): number =>
  typeof value === "number" && Number.isFinite(value) ? Math.min(most, Math.max(least, Math.round(value))) : usual;
