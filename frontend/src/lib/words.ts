import { t } from "./i18n";

/** A command line as a person types it, as the list of words that will be executed. No shell ever sees it. */
export interface Words {
  words: string[];
  error: string;
}

/** Blank-separated words; "…" and '…' keep blanks, \ escapes outside '…'. Nothing is expanded: $HOME stays $HOME. */
export function splitWords(text: string): Words {
  const words: string[] = [];
  let word = "";
  let open = false; // a word has begun, perhaps an empty quoted one
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (letter === "\\" && quote !== "'") {
      i += 1;
      if (i >= text.length) return { words, error: t("the line ends in a lone \\") };
      if (text[i] === "\n" && !quote) continue; // a continued line
      word += quote === '"' && !'"\\'.includes(text[i]) ? `\\${text[i]}` : text[i];
      open = true;
    } else if (quote) {
      if (letter === quote) quote = "";
      else word += letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      open = true;
    } else if (/\s/.test(letter)) {
      if (open) words.push(word);
      word = "";
      open = false;
    } else {
      word += letter;
      open = true;
    }
  }
  if (quote) return { words, error: t("a {quote} is not closed", { quote }) };
  if (open) words.push(word);
  return { words, error: "" };
}

/** A list of words as one line that splitWords reads back to the same list. */
export function joinWords(words: string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`)).join(" ");
}

/** A command as short as it can be told: programs by their names instead of their places. */
export const shortCommand = (words: string[]): string => joinWords(words.map((word, at) => (at === 0 ? word.slice(word.lastIndexOf("/") + 1) || word : word)));

export interface Submission {
  words: string[];
  experiment: string;
  project: string;
  name: string;
  gpu: boolean;
  least: number;
  most: number;
  priority: number;
  retries: number;
  folder: string;
  environment: Record<string, string>;
}

/** The shell line that submits the same job: only what differs from the command line's own defaults is said. */
export function submitLine(job: Submission): string {
  const most = Math.max(job.least, job.most);
  const options: [string, string, boolean][] = [
    ["--experiment", job.experiment, job.experiment !== ""], ["--project", job.project, job.project !== ""], ["--name", job.name, job.name !== ""],
    ["--devices", most > job.least ? `${job.least}-${most}` : String(job.least), most > 1], ["--priority", String(job.priority), job.priority !== 0],
    ["--retries", String(job.retries), job.retries !== 0], ["--cwd", job.folder, job.folder !== ""],
  ];
  const said = options.filter(([, , differs]) => differs).flatMap(([name, value]) => [name, value]);
  const environment = Object.entries(job.environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  return joinWords(["scaleweb", "submit", ...said, ...(job.gpu ? ["--gpu"] : []), ...environment, "--", ...job.words]);
}
