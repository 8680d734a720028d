/** A process's output as pieces of text with classes: colours of a terminal, never its escape codes, never markup. */

export interface Piece {
  text: string;
  style: string; // classes, "" for none
  hit?: boolean; // what was searched for
}

// CSI, OSC (ended by BEL or ST) and two-byte escapes.
// eslint-disable-next-line no-control-regex
const ESCAPE = /\u001b(?:\[([0-?]*)[ -/]*(?:([@-~])|$)|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0007\u000b\u000c\u000e-\u001f\u007f]/g;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const MOST = 10_000;

interface Look {
  fg: string;
  bg: string;
  marks: Set<string>;
}

/** The line as a terminal shows it at its end: carriage returns and backspaces have taken effect. */
export function pieces(raw: string): Piece[] {
  const line = raw.length > MOST ? `${raw.slice(0, MOST)}…` : raw;
  if (!line.includes("\u001b") && !line.includes("\r") && !line.includes("\b")) return line ? [{ text: line.replace(CONTROLS, ""), style: "" }] : [];
  const look: Look = { fg: "", bg: "", marks: new Set() };
  const parts: Piece[] = [];
  let at = 0;
  for (const match of line.matchAll(ESCAPE)) {
    if (match.index > at) parts.push({ text: line.slice(at, match.index), style: classes(look) });
    at = match.index + match[0].length;
    if (match[2] === "m") dress(look, match[1]);
    else if (match[2] === "K" && match[1] !== "1") parts.push({ text: "\u0000K", style: "" });
  }
  if (at < line.length) parts.push({ text: line.slice(at), style: classes(look) });
  return /[\r\b]/.test(line) ? written(parts) : joined(parts.filter((part) => part.text !== "\u0000K"));
}

/** Cell by cell, where the cursor goes back. */
function written(parts: Piece[]): Piece[] {
  const cells: Piece[] = [];
  let cursor = 0;
  for (const { text, style } of parts) {
    if (text === "\u0000K") {
      cells.length = Math.min(cells.length, cursor);
      continue;
    }
    for (const letter of text) {
      if (letter === "\r") cursor = 0;
      else if (letter === "\b") cursor = Math.max(0, cursor - 1);
      else cells[cursor++] = { text: letter, style };
    }
  }
  return joined(Array.from(cells, (cell) => cell ?? { text: " ", style: "" }));
}

function joined(parts: Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const part of parts) {
    const text = part.text.replace(CONTROLS, "");
    const last = out[out.length - 1];
    if (last && last.style === part.style) last.text += text;
    else if (text) out.push({ text, style: part.style });
  }
  return out;
}

const classes = (look: Look): string => [look.fg && `fg-${look.fg}`, look.bg && `bg-${look.bg}`, ...look.marks].filter(Boolean).join(" ");

function dress(look: Look, codes: string): void {
  const list = codes.split(/[;:]/).map((code) => Number(code || 0));
  for (let i = 0; i < list.length; i++) {
    const code = list[i];
    if (code === 0) Object.assign(look, { fg: "", bg: "", marks: new Set() });
    else if (code === 1) look.marks.add("bold");
    else if (code === 2) look.marks.add("dim");
    else if (code === 3) look.marks.add("italic");
    else if (code === 4) look.marks.add("underline");
    else if (code === 22) for (const mark of ["bold", "dim"]) look.marks.delete(mark);
    else if (code === 23) look.marks.delete("italic");
    else if (code === 24) look.marks.delete("underline");
    else if (code >= 30 && code <= 37) look.fg = COLOURS[code - 30];
    else if (code >= 90 && code <= 97) look.fg = COLOURS[code - 90];
    else if (code >= 40 && code <= 47) look.bg = COLOURS[code - 40];
    else if (code >= 100 && code <= 107) look.bg = COLOURS[code - 100];
    else if (code === 39) look.fg = "";
    else if (code === 49) look.bg = "";
    else if (code === 38 || code === 48) {
      const exact = list[i + 1] === 2;
      const colour = exact ? nearest(list[i + 2], list[i + 3], list[i + 4]) : ofPalette(list[i + 2] ?? 0);
      if (code === 38) look.fg = colour;
      else look.bg = colour;
      i += exact ? 4 : 2;
    }
  }
}

function ofPalette(index: number): string {
  if (index < 16) return COLOURS[index % 8];
  if (index >= 232) return index < 244 ? "black" : "white";
  const cube = index - 16;
  return nearest(Math.floor(cube / 36) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51);
}

/** Eight colours that keep their contrast in both themes stand for sixteen million. */
function nearest(red = 0, green = 0, blue = 0): string {
  const high = Math.max(red, green, blue);
  if (high < 64) return "black";
  const on = (value: number) => value > high * 0.6;
  return COLOURS[(on(red) ? 1 : 0) + (on(green) ? 2 : 0) + (on(blue) ? 4 : 0)];
}

/** The pieces with what was searched for parted off; across colours too. */
export function highlighted(parts: Piece[], search: string): Piece[] {
  if (!search) return parts;
  const whole = parts.map((part) => part.text).join("").toLowerCase();
  const wanted = search.toLowerCase();
  const cuts: [number, number][] = [];
  for (let at = whole.indexOf(wanted); at >= 0; at = whole.indexOf(wanted, at + wanted.length)) cuts.push([at, at + wanted.length]);
  if (!cuts.length) return parts;
  const out: Piece[] = [];
  let offset = 0;
  for (const part of parts) {
    let from = 0;
    for (const [start, end] of cuts) {
      const a = Math.max(0, start - offset);
      const b = Math.min(part.text.length, end - offset);
      if (a >= b) continue;
      if (a > from) out.push({ text: part.text.slice(from, a), style: part.style });
      out.push({ text: part.text.slice(a, b), style: part.style, hit: true });
      from = b;
    }
    if (from < part.text.length) out.push({ text: part.text.slice(from), style: part.style });
    offset += part.text.length;
  }
  return out;
}

export const bare = (raw: string): string => pieces(raw).map((piece) => piece.text).join("");

const LEVEL = /\b(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b/;
/** Whether a line says its level, so that a choice of levels makes sense. */
export const hasLevel = (raw: string): boolean => LEVEL.test((raw.includes("\u001b") ? raw.replace(ESCAPE, "") : raw).slice(0, 200));
