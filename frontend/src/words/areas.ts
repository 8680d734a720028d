/** Which part of the site says a sentence, by its file, and which parts are translated whole. */
const AREAS: [RegExp, string][] = [
  [/^src\/pages\/(overview\/|Overview|Needs)/, "overview"],
  [/^src\/pages\/(compare\/|Compare)/, "compare"],
  [/^src\/pages\/run\/(Control|Command|Tunable|Offer|Decision|Forecast|Replay|Approv|Schedule|Action|Change)/, "control"],
  [/^src\/pages\/experiment\/BulkControl/, "control"],
  [/^src\/(lib\/(actor|attention|branches|change|choices|command|controller|effect|many|expectation|forecast|notices|policies|schedule|story)|state\/(drafts|notices))\./, "control"],
  [/^src\/(pages\/(run\/|Run)|media\/)/, "run"],
  [/^src\/pages\/(experiment\/|Experiment)/, "table"],
  [/^src\/pages\/(node\/|nodes\/|Node)/, "fleet"],
  [/^src\/pages\/(queue\/|submit\/|Queue|Submit)/, "jobs"],
  [/^src\/pages\/alerts?\//i, "alerts"],
  [/^src\/charts\//, "panels"],
  [/^src\/components\/(Controller|Bell|Notice|Proposal)/, "control"],
  [/^src\/lib\/units/, "fleet"],
  [/^src\/lib\/(words|settings)\.ts/, "jobs"],
  [/^src\/(lib|state)\/(?!format|when|palette|shortcuts|toasts|session|theme)/, "lib"], // translated by whoever's page says it
];

/** Everything else is the shell: components, Settings, Missing. */
export const areaOf = (file: string): string => AREAS.find(([pattern]) => pattern.test(file))?.[1] ?? "shell";

/** In these a sentence without a translation fails the tests. Add yours as soon as it is whole. */
export const COMPLETE: readonly string[] = ["shell", "overview", "fleet", "jobs", "alerts", "panels", "control", "table", "run", "compare", "lib"];
