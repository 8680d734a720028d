/**
 * What a person has typed into a run's controls and not sent. Kept for this tab: a session that ends, or a page that is
 * loaded again, loses none of it. Each request has a key, so that one whose answer got lost is asked once.
 */
import * as api from "../api";
import { ApiError, messageOf } from "../api/client";
import type { Command, Json } from "../api/types";
import { t } from "../lib/i18n";
import { newKey } from "../lib/intent";

interface Kept {
  typed: Record<string, string>;
  reason: string;
  atStep: string;
  key: string; // of the request that was sent and not answered
  asked: string; // what that request was, as JSON
}
const NOTHING: Kept = { typed: {}, reason: "", atStep: "", key: "", asked: "" };

export class Drafts {
  /** By tunable: what its field holds. */
  typed = $state.raw<Record<string, string>>({});
  reason = $state("");
  atStep = $state("");
  busy = $state(false);
  error = $state("");
  /** The settings that were sent last: it is them that `error` tells of. */
  sent = $state.raw<readonly string[]>([]);
  /** By tunable, as the server said it. */
  refused = $state.raw<Record<string, string>>({});
  /** Sent once without an answer: whether it was done is not known, and sending it again does no harm. */
  unsure = $state(false);
  private key = "";
  private asked = "";
  private readonly place: string;

  constructor(readonly code: string) {
    this.place = `drafts.${code}`;
    const kept = read(this.place);
    this.typed = kept.typed;
    this.reason = kept.reason;
    this.atStep = kept.atStep;
    this.key = kept.key;
    this.asked = kept.asked;
    this.unsure = !!kept.key;
  }

  type(name: string, text: string | null): void {
    const rest = { ...this.typed };
    if (text === null) delete rest[name];
    else rest[name] = text;
    this.typed = rest;
    if (!Object.keys(rest).length) this.reason = this.atStep = ""; // they were of what is not asked for any more
    this.error = "";
    this.refused = { ...this.refused, [name]: "" };
    this.keep();
  }

  clear(): void {
    this.typed = {};
    this.reason = this.atStep = this.error = this.key = this.asked = "";
    this.refused = {};
    this.unsure = false;
    this.keep();
  }

  keep(): void {
    const kept: Kept = { typed: this.typed, reason: this.reason, atStep: this.atStep, key: this.key, asked: this.asked };
    if (!Object.keys(kept.typed).length && !kept.key) sessionStorage.removeItem(this.place);
    else sessionStorage.setItem(this.place, JSON.stringify(kept));
  }

  /**
   * Send these settings as one change; `bare`, without the reason and the step, which are of what is drafted beside it.
   * Null where they were not taken; why stands in `error` and `refused`.
   */
  async send(settings: Record<string, Json>, bare = false): Promise<Command[] | null> {
    const step = bare || this.atStep.trim() === "" ? null : Number(this.atStep);
    const body = { settings, reason: bare ? "" : this.reason.trim(), at_step: step };
    const asked = JSON.stringify(body);
    if (asked !== this.asked || !this.key) this.key = newKey();
    this.asked = asked;
    this.keep();
    this.busy = true;
    this.sent = Object.keys(settings);
    this.error = "";
    this.refused = {};
    try {
      const made = await api.changeTogether(this.code, { ...body, key: this.key });
      const rest = { ...this.typed };
      for (const name of Object.keys(settings)) delete rest[name];
      this.typed = rest;
      if (!bare) this.reason = this.atStep = "";
      this.answered();
      return made;
    } catch (problem) {
      this.take(problem, Object.keys(settings));
      return null;
    } finally {
      this.busy = false;
      this.keep();
    }
  }

  private answered(): void {
    this.key = this.asked = "";
    this.unsure = false;
  }

  private take(problem: unknown, names: string[]): void {
    const status = problem instanceof ApiError ? problem.status : 0;
    if (status === 0 || status >= 500) {
      this.unsure = true;
      this.error = t("The server did not answer. Your change is kept here; send it again when the line is back. It is done once, however often it is sent.");
      return;
    }
    if (status === 401 || status === 403) {
      this.error = status === 401 ? t("Your session has ended. Your change is kept here; log in and send it again.") : messageOf(problem);
      return;
    }
    this.answered();
    const refused: Record<string, string> = {};
    if (problem instanceof ApiError) for (const name of names) refused[name] = problem.field(`settings.${name}`);
    this.refused = refused;
    const told = Object.values(refused).some(Boolean);
    const step = problem instanceof ApiError ? problem.field("at_step") : "";
    this.error = step || (told ? t("Nothing was changed: all of it is applied, or none.") : messageOf(problem));
    if (told && names.length === 1) this.error = "";
  }
}

function read(place: string): Kept {
  try {
    return { ...NOTHING, ...(JSON.parse(sessionStorage.getItem(place) ?? "{}") as Partial<Kept>) };
  } catch {
    return NOTHING;
  }
}
