/** Reads a key's unit and heading from its name: our keys carry the unit as their last words. */
import * as format from "./format";

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
    _step_seconds: "Step time", _data_wait_seconds: "Waiting for data", _compute_seconds: "Computing",
    _samples_per_second: "Samples per second", _process_cpu_ratio: "Process CPU", _process_memory_bytes: "Process memory",
  };
  return known[key] ?? key;
}

const DEVICE_WORDS: Record<string, string> = {
  utilisation_ratio: "Utilisation", memory_used_bytes: "Memory used", memory_total_bytes: "Memory", power_watts: "Power",
  power_limit_watts: "Power limit", temperature_celsius: "Temperature", sm_clock_hertz: "SM clock",
  memory_clock_hertz: "Memory clock", throttle_ratio: "Throttled", ecc_uncorrected_count: "ECC errors, uncorrected",
  xid_count: "XID errors", cpu_utilisation_ratio: "CPU", disk_used_bytes: "Disk used", disk_total_bytes: "Disk",
  disk_read_bytes_per_second: "Disk read", disk_write_bytes_per_second: "Disk write",
  network_receive_bytes_per_second: "Network in", network_send_bytes_per_second: "Network out", load_1m: "Load, 1 min",
};

/** A node's or device's key in words: "gpu0/power_watts" reads "GPU 0 · Power". */
export function hardwareHeading(key: string): string {
  const [prefix, name] = key.includes("/") ? key.split("/", 2) : ["", key];
  const words = DEVICE_WORDS[name] ?? name;
  const device = /^([a-z]+)(\d+)$/.exec(prefix);
  return device ? `${device[1].toUpperCase()} ${device[2]} · ${words}` : words;
}
