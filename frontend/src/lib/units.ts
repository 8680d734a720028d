/** Reads a key's unit and heading from its name: our keys carry the unit as their last words. */
import * as format from "./format";
import { t } from "./i18n";

export type Unit = "" | "seconds" | "bytes" | "bytes_per_second" | "ratio" | "watts" | "celsius" | "hertz";

const SUFFIXES: [string, Unit][] = [
  ["bytes_per_second", "bytes_per_second"], ["seconds", "seconds"], ["bytes", "bytes"], ["ratio", "ratio"],
  ["watts", "watts"], ["celsius", "celsius"], ["hertz", "hertz"],
];

export function unitOf(key: string): Unit {
  const name = key.slice(key.lastIndexOf("/") + 1);
  for (const [suffix, unit] of SUFFIXES) if (name === suffix || name.endsWith(`_${suffix}`)) return unit;
  return "";
}

export function withUnit(value: number | null | undefined, unit: Unit, digits?: number): string {
  if (value === null || value === undefined) return format.DASH;
  if (!Number.isFinite(value)) return format.number(value);
  switch (unit) {
    case "seconds": return format.duration(value);
    case "bytes": return format.bytes(value, digits);
    case "bytes_per_second": return `${format.bytes(value, digits)}/s`;
    case "ratio": return format.percent(value);
    case "watts": return `${format.number(value, 3)} W`;
    case "celsius": return `${format.number(value, 3)} °C`;
    case "hertz": return value >= 1e9 ? `${format.number(value / 1e9, 3)} GHz` : `${format.number(value / 1e6, 4)} MHz`;
    default: return format.number(value, digits);
  }
}

/** Labels of the ticks of an axis: with as many digits as it takes to tell neighbours apart. */
export function tickLabels(ticks: (number | null)[], unit: Unit): string[] {
  const write = (digits?: number) => ticks.map((tick) => (tick === null ? "" : withUnit(tick, unit, digits)));
  let labels = write();
  for (let digits = 5; digits <= 9; digits += 1) {
    const said = labels.filter(Boolean);
    if (new Set(said).size === said.length) break;
    labels = write(digits);
  }
  return labels;
}

/** Our own keys in words; a user's key exactly as it was written. */
export function heading(key: string): string {
  if (!key.startsWith("_")) return key;
  const known: Record<string, string> = {
    _step_seconds: t("Step time"), _data_wait_seconds: t("Waiting for data"), _compute_seconds: t("Computing"),
    _samples_per_second: t("Samples per second"), _process_cpu_ratio: t("Process CPU"), _process_memory_bytes: t("Process memory"),
    _move_ratio: t("Distance of ten steps"), _move_cosine: t("Direction kept"),
  };
  return known[key] ?? key;
}

/** Called while drawing: the language may change. */
const deviceWords = (): Record<string, string> => ({
  utilisation_ratio: t("Utilisation"), memory_used_bytes: t("Memory used"), memory_total_bytes: t("Memory"), power_watts: t("Power"),
  power_limit_watts: t("Power limit"), temperature_celsius: t("Temperature"), sm_clock_hertz: t("SM clock"),
  memory_clock_hertz: t("Memory clock"), throttle_ratio: t("Throttled"), ecc_uncorrected_count: t("ECC errors, uncorrected"),
  xid_count: t("XID errors"), cpu_utilisation_ratio: t("CPU"), disk_used_bytes: t("Disk used"), disk_total_bytes: t("Disk"),
  disk_read_bytes_per_second: t("Disk read"), disk_write_bytes_per_second: t("Disk write"),
  network_receive_bytes_per_second: t("Network in"), network_send_bytes_per_second: t("Network out"), load_1m: t("Load, 1 min"),
});

/** A node's or device's key in words: "gpu0/power_watts" reads "GPU 0 · Power". */
export function hardwareHeading(key: string): string {
  const [prefix, name] = key.includes("/") ? key.split("/", 2) : ["", key];
  const words = deviceWords()[name] ?? name;
  const device = /^([a-z]+)(\d+)$/.exec(prefix);
  return device ? `${device[1].toUpperCase()} ${device[2]} · ${words}` : words;
}
