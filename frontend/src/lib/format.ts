/** Figures as people read them; English and Chinese group and point numbers alike. Every function takes null or undefined as "not known" and shows a dash. */

import { t } from "./i18n";

export const DASH = "–";
type Maybe = number | null | undefined;

/** A number in at most `digits` significant digits: 0.00042, 1.25e-7, 12,345, 1.2M above a million. */
export function number(value: Maybe, digits = 4): string {
  if (value === null || value === undefined) return DASH;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e15) return exponent(value, digits);
  if (size >= 1e6) return compact(value);
  if (Number.isInteger(value)) return group(value);
  if (size >= 1000) return group(Number(value.toPrecision(Math.max(digits, 5))));
  return String(Number(value.toPrecision(digits)));
}

/** A value that has to be exact, such as a setting: every digit, no grouping. */
export function exact(value: unknown): string {
  if (typeof value === "number") {
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-4 || size >= 1e15) ? tidyExponent(value.toExponential()) : String(value);
  }
  if (value === null || value === undefined) return DASH;
  if (typeof value === "boolean") return value ? "on" : "off";
  return typeof value === "string" ? value : JSON.stringify(value);
}

export const integer = (value: Maybe): string =>
  value === null || value === undefined || !Number.isFinite(value) ? DASH : group(Math.round(value));

export function compact(value: Maybe): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return number(value);
  const size = Math.abs(value);
  for (const [limit, suffix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]] as const) {
    if (size >= limit) return `${trim(value / (suffix === "k" ? 1e3 : limit))}${suffix}`;
  }
  return number(value);
}

export function bytes(value: Maybe, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let rest = Math.abs(value);
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  const shown = unit === 0 || (rest >= 100 && digits <= 3) ? Math.round(rest) : Number(rest.toPrecision(digits));
  return `${value < 0 ? "-" : ""}${shown} ${units[unit]}`;
}

export const percent = (ratio: Maybe): string =>
  ratio === null || ratio === undefined || !Number.isFinite(ratio)
    ? DASH
    : `${trim(ratio * 100, ratio !== 0 && Math.abs(ratio) < 0.1 ? 2 : 3)} %`;

/** Seconds as a length of time: 340 ms, 12 s, 4 m 05 s, 3 h 12 m, 2 d 4 h. */
export function duration(seconds: Maybe): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return DASH;
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "-" : "";
  if (size === 0) return t("{n} s", { n: 0 });
  if (size < 1e-3) return `${sign}${trim(size * 1e6)} µs`;
  if (size < 1) return sign + t("{n} ms", { n: trim(size * 1e3) });
  if (size < 10) return sign + t("{n} s", { n: trim(size, 2) });
  const whole = Math.round(size);
  if (whole < 60) return sign + t("{n} s", { n: whole });
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(whole / 3600);
  if (whole < 3600) return sign + t("{m} m {s} s", { m: minutes, s: two(whole % 60) });
  if (whole < 86_400) return sign + t("{h} h {m} m", { h: hours, m: two(minutes % 60) });
  return sign + t("{d} d {h} h", { d: Math.floor(whole / 86_400), h: hours % 24 });
}

/** How long ago, in one unit: "now", "12 s ago", "3 min ago". Future times read "in 3 min". */
export function ago(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 2) return t("now");
  const past = seconds >= 0;
  if (size < 60) return past ? t("{n} s ago", { n: Math.floor(size) }) : t("in {n} s", { n: Math.floor(size) });
  if (size < 3600) return past ? t("{n} min ago", { n: Math.floor(size / 60) }) : t("in {n} min", { n: Math.floor(size / 60) });
  if (size < 86_400) return past ? t("{n} h ago", { n: Math.floor(size / 3600) }) : t("in {n} h", { n: Math.floor(size / 3600) });
  return past ? t("{n} d ago", { n: Math.floor(size / 86_400) }) : t("in {n} d", { n: Math.floor(size / 86_400) });
}

function exponent(value: number, digits: number): string {
  return tidyExponent(value.toExponential(Math.max(0, digits - 1)));
}

function tidyExponent(text: string): string {
  const [mantissa, power] = text.split("e");
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return `${short}e${power.replace("+", "")}`;
}

function trim(value: number, digits = 3): string {
  return String(Number(value.toPrecision(digits)));
}

function group(value: number): string {
  const [whole, fraction] = String(value).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction ? `${grouped}.${fraction}` : grouped;
}
