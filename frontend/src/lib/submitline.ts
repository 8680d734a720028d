/** The shell line that submits the same job as a request to the site. */
import { CLASSES } from "./queue";
import { joinWords } from "./words";

/** A request as the API takes it, with the experiment by its name; fields that are left out are as usual. */
export interface Asked {
  argv: string[];
  experiment_name: string;
  project?: string;
  name?: string;
  device_kind?: string;
  min_devices?: number;
  max_devices?: number;
  device_name?: string;
  device_memory_bytes?: number | null;
  memory_bytes?: number | null;
  node_labels?: Record<string, string>;
  launcher?: string;
  max_nodes?: number;
  keep?: string;
  priority?: number;
  preemptible?: string;
  max_retries?: number;
  deadline?: string | null;
  after?: string[];
  cwd?: string;
  env?: Record<string, string>;
  git?: Record<string, string>;
  tags?: string[];
  grid?: Record<string, string[]>;
  array?: string;
  at_once?: number | null;
}

const UNITS = [["T", 2 ** 40], ["G", 2 ** 30], ["M", 2 ** 20]] as const;

/** A size in the greatest unit that tells it exactly, in at most three places. */
export function sizeWord(bytes: number): string {
  const unit = UNITS.find(([, size]) => bytes >= size && Number.isInteger((bytes / size) * 1000));
  return unit ? `${bytes / unit[1]}${unit[0]}` : String(bytes);
}

const size = (bytes: number | null | undefined): string => (bytes ? sizeWord(bytes) : "");
const priorityWord = (priority: number): string => CLASSES.find(([value]) => value === priority)?.[1] ?? String(priority);
const pairs = (map: Record<string, string> | undefined): string[] => Object.entries(map ?? {}).map(([name, value]) => `${name}=${value}`);

/** Only what differs from the command line's own defaults is said. A value that looks like an option is bound to its own by "=". */
export function submitLine(asked: Asked): string {
  const least = asked.min_devices ?? 1;
  const most = Math.max(least, asked.max_devices ?? least);
  const range = most > least ? `${least}..${most}` : String(least);
  const gpu = asked.device_kind === "gpu";
  const nodes = asked.max_nodes ?? 1;
  const options: [string, string | string[] | undefined | false | null][] = [
    ["--experiment", asked.experiment_name], ["--project", asked.project], ["--name", asked.name],
    gpu ? ["--gpus", range] : ["--devices", most > 1 && range],
    ["--kind", gpu && asked.device_name], // a name makes the devices GPUs there
    ["--device-memory", size(asked.device_memory_bytes)], ["--memory", size(asked.memory_bytes)],
    ["--label", pairs(asked.node_labels)], ["--nodes", nodes > 1 && String(nodes)],
    ["--keep", asked.keep !== "batch" && asked.keep], ["--priority", !!asked.priority && priorityWord(asked.priority)],
    ["--preemptible", asked.preemptible !== "saved" && asked.preemptible], ["--retries", !!asked.max_retries && String(asked.max_retries)],
    ["--deadline", asked.deadline], ["--after", asked.after], ["--cwd", asked.cwd], ["--env", pairs(asked.env)],
    ["--git", asked.git?.url && asked.git.revision && `${asked.git.url}@${asked.git.revision}`], ["--tag", asked.tags],
    ["--grid", Object.entries(asked.grid ?? {}).map(([name, values]) => `${name}=${values.join()}`)], ["--array", asked.array],
    ["--at-once", asked.at_once ? String(asked.at_once) : ""],
  ];
  const said = options.flatMap(([name, value]) =>
    [value].flat().filter((each): each is string => !!each).flatMap((each) => (each.startsWith("-") ? [`${name}=${each}`] : [name, each])));
  const ranks = asked.launcher === "torchrun" && nodes === 1 ? ["--torchrun"] : []; // more nodes mean it anyhow
  return joinWords(["scaleweb", "submit", ...said, ...ranks, "--", ...asked.argv]);
}
