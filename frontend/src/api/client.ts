/** One way to ask the server: JSON, the session's cookie, CSRF, and errors that carry their fields. */

import { t } from "../lib/i18n";
import { said } from "../lib/said";
import { hearTime } from "../lib/skew";

const ROOT = "/api/v1/";

/** What went wrong with a request, in words for a person; `status` is 0 where no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: Record<string, string[]> = {},
  ) {
    super(said(message));
  }

  /** The first sentence about a field, or "". */
  field(name: string): string {
    return said(this.fields[name]?.[0]);
  }
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    if (typeof value === "object") for (const each of value) search.append(name, each);
    else search.set(name, String(value));
  }
  const text = search.toString();
  return ROOT + path + (text ? `?${text}` : "");
}

/** A path with its parts escaped: path`runs/${code}/keys`. */
export function path(pieces: TemplateStringsArray, ...parts: (string | number)[]): string {
  return pieces.reduce((whole, piece, i) => whole + encodeURIComponent(String(parts[i - 1])) + piece);
}

export interface Options {
  method?: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  body?: unknown;
  query?: Query;
  signal?: AbortSignal;
}

/** Ask and read JSON. Raises ApiError, or lets an AbortError pass. */
export function ask<T>(where: string, options: Options = {}): Promise<T> {
  if ((options.method ?? "GET") !== "GET") return answer<T>(where, options);
  const question = where.startsWith("/") ? where : address(where, options.query);
  const early = kept.get(question) as Promise<T> | undefined;
  kept.delete(question);
  if (early && !keeping) return early;
  const asked = answer<T>(where, options);
  if (keeping) kept.set(question, asked);
  return asked;
}

const KEPT_MILLISECONDS = 10_000; // an older answer is no answer any more
const kept = new Map<string, Promise<unknown>>();
let keeping = false;
let ahead = -Infinity; // when that was asked last, by performance.now()

/** When the answers that may be used ahead of their question were asked for; Infinity where there are none. */
export const aheadSince = (): number => (performance.now() - ahead < KEPT_MILLISECONDS ? ahead : Infinity);

/** Ask now what a page is about to ask, while its own file is still on the way; its `ask` then gets this answer. */
export function askAhead(questions: () => Promise<unknown>[]): void {
  keeping = true;
  ahead = performance.now();
  // The page that asks in earnest tells of what failed.
  for (const asked of questions()) asked.catch(() => undefined);
  keeping = false;
  window.setTimeout(() => kept.clear(), KEPT_MILLISECONDS);
}

async function answer<T>(where: string, options: Options): Promise<T> {
  const asked = performance.now();
  const response = await send(where, options, "application/json");
  if (response.status === 204) return undefined as T;
  const answer = await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer as T;
  throw failure(response.status, answer, asked);
}

/** Ask and read bytes of a media type; errors come as JSON all the same. */
export async function askBytes(where: string, type: string, options: Options = {}): Promise<ArrayBuffer> {
  const asked = performance.now();
  const response = await send(where, options, type);
  if (response.ok) return response.arrayBuffer();
  throw failure(response.status, await response.json().catch(() => undefined), asked);
}

let linkToken: string | null = null; // "" of a link whose end was cut off

/** From here on this page asks with the token of a link to a view, which opens the addresses under `shared` alone. */
export function askByLink(token: string): void {
  linkToken = token;
}

export const isByLink = (): boolean => linkToken !== null;

async function send(where: string, options: Options, accept: string): Promise<Response> {
  const { method = "GET", body, query, signal } = options;
  const headers: Record<string, string> = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (linkToken !== null) headers.Authorization = `Bearer ${linkToken}`;
  else if (method !== "GET") headers["X-CSRFToken"] = cookie("csrftoken");
  const asked = Date.now();
  try {
    const response = await fetch(where.startsWith("/") || where.startsWith("http") ? where : address(where, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal,
    });
    hearTime(response.headers.get("Date"), asked, Date.now());
    return response;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, t("The server cannot be reached."));
  }
}

function failure(status: number, answer: unknown, asked: number): ApiError {
  if (linkToken !== null) return new ApiError(status, sentence(status, answer), fieldsOf(answer)); // there is nowhere to log in to
  if (asked >= knownSince && (status === 401 || (status === 403 && isLoggedOut(answer)))) loggedOut();
  return new ApiError(status, sentence(status, answer), fieldsOf(answer));
}

export function cookie(name: string): string {
  for (const piece of document.cookie.split("; ")) {
    if (piece.startsWith(`${name}=`)) return decodeURIComponent(piece.slice(name.length + 1));
  }
  return "";
}

function isLoggedOut(answer: unknown): boolean {
  return /credentials were not provided/i.test(detailOf(answer));
}

/** Where no page is open yet: log in, then come back to this very address. */
let loggedOut = (): void => location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);

let knownSince = -Infinity;

/** The session was known to the server for what was asked then: an answer to anything older tells of one before it. */
export function loggedInAt(asked: number): void {
  knownSince = asked;
}

/** Who has a page open says what happens when the session ends, so that nothing typed is lost. */
export function onLoggedOut(happens: () => void): void {
  loggedOut = happens;
}

function sentence(status: number, answer: unknown): string {
  const detail = detailOf(answer);
  if (detail) return detail;
  const fields = Object.entries(fieldsOf(answer));
  if (fields.length) return fields.map(([name, words]) => `${name}: ${words.join(" ")}`).join(" ");
  if (status === 403) return t("Your role does not allow this.");
  if (status === 404) return t("This does not exist, or it is not yours to see.");
  if (status >= 500) return t("The server failed ({status}). Its log says why.", { status });
  return t("The server answered {status} without a reason.", { status });
}

function detailOf(answer: unknown): string {
  const detail = (answer as { detail?: unknown } | undefined)?.detail;
  return typeof detail === "string" ? detail : "";
}

function fieldsOf(answer: unknown): Record<string, string[]> {
  const fields = (answer as { fields?: unknown } | undefined)?.fields;
  if (fields === null || typeof fields !== "object") return {};
  return Object.fromEntries(
    Object.entries(fields).map(([name, words]) => [name, Array.isArray(words) ? words.map(String) : [String(words)]]),
  );
}
