/** Marks that stand too close to be told apart are one with a count; where there are many, none crosses the picture. */
import type { ChartMark } from "./paint";

export interface Crowd {
  at: number; // CSS pixels from the plot's left
  marks: ChartMark[]; // one, or those that share the place, from left to right
  tone: ChartMark["tone"];
  colour?: string;
  tall: boolean; // its line goes through the picture
}

const APART = 16; // CSS pixels: less, and one cannot be hit without its neighbour
const TICKS_APART = 3; // checkpoints are ticks on the axis, two pixels wide
const ROOM = 56; // CSS pixels for a line through the picture; with less, lines hide what they cross
const LOUDEST: ChartMark["tone"][] = ["bad", "warn", "accent", "good", "quiet"];

/** `place`: an x in CSS pixels from the plot's left; `width`: of the plot. */
export function crowdsOf(marks: readonly ChartMark[], place: (x: number) => number, width: number): Crowd[] {
  const seen = marks
    .map((mark) => ({ mark, at: place(mark.x) }))
    .filter(({ at }) => at >= 0 && at <= width)
    .sort((a, b) => a.at - b.at);
  const ticks = gathered(seen.filter(({ mark }) => mark.kind === "checkpoint"), TICKS_APART);
  const others = gathered(seen.filter(({ mark }) => mark.kind !== "checkpoint"), APART);
  const roomy = others.length * ROOM <= width;
  return [...ticks, ...others].map((group) => {
    const colours = new Set(group.map(({ mark }) => mark.colour));
    const all = group.map(({ mark }) => mark);
    return {
      at: (group[0].at + group[group.length - 1].at) / 2, marks: all,
      tone: LOUDEST.find((tone) => all.some((mark) => mark.tone === tone))!,
      // Of several runs a mark has its run's colour; of several colours none.
      ...(colours.size === 1 && all[0].colour ? { colour: all[0].colour } : {}),
      tall: roomy && all.every((mark) => mark.kind !== "checkpoint" && !mark.run),
    };
  });
}

interface Placed {
  mark: ChartMark;
  at: number;
}

function gathered(placed: Placed[], apart: number): Placed[][] {
  const out: Placed[][] = [];
  for (const each of placed) {
    const last = out[out.length - 1];
    // From the first of them: a chain of close neighbours would swallow the whole axis.
    if (last && each.at - last[0].at < apart) last.push(each);
    else out.push([each]);
  }
  return out;
}

/** What is drawn within `reach` pixels of a place, nearest first. */
export function crowdsAt(crowds: readonly Crowd[], left: number, reach = 5): Crowd[] {
  return crowds
    .map((crowd) => ({ crowd, distance: Math.abs(crowd.at - left) }))
    .filter(({ crowd, distance }) => distance <= (crowd.marks.length > 1 && crowd.marks[0].kind !== "checkpoint" ? Math.max(reach, APART / 2) : reach))
    // A decision says more than the checkpoint that was saved beside it.
    .sort((a, b) => Number(a.crowd.marks[0].kind === "checkpoint") - Number(b.crowd.marks[0].kind === "checkpoint") || a.distance - b.distance)
    .map(({ crowd }) => crowd);
}
