/** A run's story: what happened to it, who or what did it and why, in one line of time, newest first. */
import type { Checkpoint, Command, Decision, RunEvent } from "../api/types";
import { actorName } from "./actor";
import { fateOf, toneOf, whatOf } from "./command";
import { number } from "./format";
import { t, term } from "./i18n";
import { said } from "./said";
import { blockedWords, policyName } from "./policies";
import { toldByCommands, toldByReflexes } from "./toldonce";
import { didOf, leadOf, verdictOf, verdictTone } from "./story";

export type Tone = "good" | "bad" | "warn" | "accent" | "quiet";

export interface Entry {
  id: string; // "decision:12"
  at: number; // milliseconds since the epoch
  step: number | null;
  tone: Tone;
  title: string;
  words: string;
  who: string;
  tab: string; // the part of the run's page that tells more, "" where there is none
  more: string; // a traceback
}

export interface Sources {
  events: RunEvent[];
  commands: Command[];
  decisions: Decision[];
  checkpoints: Checkpoint[];
}

// What the lists beside the events tell better, with more to say.
const TOLD_ELSEWHERE = new Set(["checkpoint", "command", "decision", "tunable"]);

export function chronicle({ events, commands, decisions, checkpoints }: Sources): Entry[] {
  // What the controller had done is told by its decision, and what a command led to by the command.
  const asked = commands.filter((command) => command.by_person);
  const decided = new Set(decisions.map(({ command }) => command));
  const groups = new Set(commands.filter(({ seq, group }) => group && decided.has(seq)).map(({ group }) => group));
  const told = toldByCommands(commands.filter(({ by_person, seq, group }) => by_person || decided.has(seq) || groups.has(group)), events);
  const itself = toldByReflexes(events, told);
  const out = [
    ...events.filter((event) => !TOLD_ELSEWHERE.has(event.kind) && !told.has(event.id) && !itself.has(event.id)).map(fromEvent),
    ...asked.map(fromCommand),
    ...decisions.flatMap(fromDecision),
    ...checkpoints.map(fromCheckpoint),
  ];
  return out.sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
}

const verdictTitle = (verdict: string): string =>
  ({ better: t("It helped"), same: t("It made no difference"), worse: t("It made things worse"), unclear: t("Its effect is unclear") } as Record<string, string>)[verdict] ?? verdict;
const STATE_TONES: Record<string, Tone> = { running: "good", finished: "good", failed: "bad", lost: "bad", paused: "warn", stopping: "warn" };
const eventTitle = (kind: string): string =>
  ({ error: t("Error"), branch: t("Went back"), reflex: t("Reflex"), note: t("Note"), resumed: t("Resumed"), attempt: t("Attempt"), finish: t("The script's end") } as Record<string, string>)[kind] ?? sentence(kind.replaceAll("_", " "));

function fromEvent(event: RunEvent): Entry {
  const base = { id: `event:${event.id}`, at: Date.parse(event.at), step: event.step, who: actorName(event.actor), tab: "", more: typeof event.data.traceback === "string" ? event.data.traceback : "" };
  if (event.kind === "state") return { ...base, tone: STATE_TONES[event.new] ?? "quiet", title: sentence(term(event.new)), words: said(event.reason) || (event.old ? t("was {state}", { state: term(event.old) }) : "") };
  const tone = event.kind === "error" ? "bad" : event.kind === "reflex" || event.kind === "branch" ? "warn" : "quiet";
  return { ...base, tone, title: eventTitle(event.kind), words: said(event.reason) || [event.old, event.new].filter(Boolean).join(" → ") };
}

function fromCommand(command: Command): Entry {
  const at = Date.parse(command.applied_at ?? command.created_at);
  const words = [fateOf(command), command.reason].filter(Boolean).join(" · ");
  return { id: `command:${command.id}`, at, step: command.applied_step, tone: toneOf(command.state), title: whatOf(command), words, who: actorName(command.asked_by), tab: "control", more: "" };
}

/** The decision when it was made, and its verdict when that came. */
function fromDecision(decision: Decision): Entry[] {
  const base = { id: `decision:${decision.id}`, who: policyName(decision.policy), tab: "decisions", more: "" };
  const made: Entry = { ...base, at: Date.parse(decision.created_at), step: decision.decided_step, tone: decision.state === "proposed" ? "warn" : "accent", title: t("{rule}: {why}", { rule: leadOf(decision), why: didOf(decision) }), words: [said(decision.reason), sentence(ruled(decision.blocked_by))].filter(Boolean).join(" ") };
  if (!decision.judged_at || !decision.verdict) return [made];
  return [made, { ...base, id: `${base.id}:verdict`, at: Date.parse(decision.judged_at), step: decision.judge_at_step, tone: verdictTone(decision), title: verdictTitle(decision.verdict), words: [verdictOf(decision), typeof decision.measured.undo === "string" ? said(decision.measured.undo) : ""].filter(Boolean).join(" ") }];
}

function fromCheckpoint(checkpoint: Checkpoint): Entry {
  const loss = checkpoint.metrics.loss;
  const words = [checkpoint.reason, typeof loss === "number" ? `loss ${number(loss)}` : "", checkpoint.available ? "" : t("its file is gone")].filter(Boolean).join(" · ");
  return { id: `checkpoint:${checkpoint.id}`, at: Date.parse(checkpoint.created_at), step: checkpoint.step, tone: "quiet", title: t("Checkpoint saved"), words, who: "", tab: "checkpoints", more: "" };
}

/** A guard's rule and what it said. */
function ruled(blocked: string): string {
  const { rule, sentence } = blockedWords(blocked);
  return rule ? t("{rule}: {why}", { rule, why: sentence }) : sentence;
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
