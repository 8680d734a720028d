/** How the charts of a page are looked at; kept in this browser, and in a saved view through PanelsState. */
import type { XAxis } from "../lib/columns";
import { readStored, writeStored } from "../state/stored";
import { PLAIN, SCALES, TIP_ORDERS, WEIGHTINGS, type Look } from "./look";
import { BANDS, type Band } from "./spread";

export interface Kept extends Look {
  x: XAxis;
  linked: boolean; // zoom and crosshair go over all panels
  band: Band; // around the mean of grouped runs
}

const USUAL: Kept = { ...PLAIN, x: "step", linked: true, band: "deviation" };

/** What is known of something stored, by this version or another; the rest as usual. */
export function readLook(stored: unknown): Kept {
  const given = (stored !== null && typeof stored === "object" ? stored : {}) as Record<string, unknown>;
  const among = <T extends string>(value: unknown, all: readonly T[], usual: T): T => (all.includes(value as T) ? (value as T) : usual);
  const { smoothing } = given;
  return {
    smoothing: typeof smoothing === "number" && smoothing >= 0 && smoothing < 1 ? smoothing : USUAL.smoothing,
    weighting: among(given.weighting, WEIGHTINGS, USUAL.weighting),
    // Earlier versions kept a switch `log`.
    scale: among(given.scale, SCALES, given.log === true ? "log" : USUAL.scale),
    robust: given.robust === true,
    tip: among(given.tip, TIP_ORDERS, USUAL.tip),
    x: typeof given.x === "string" && given.x.length > 0 && given.x.length <= 300 ? given.x : USUAL.x,
    linked: given.linked !== false,
    band: among(given.band, BANDS, USUAL.band),
  };
}

export class View implements Kept {
  smoothing = $state(USUAL.smoothing);
  weighting = $state(USUAL.weighting);
  scale = $state(USUAL.scale);
  robust = $state(USUAL.robust);
  tip = $state(USUAL.tip);
  x = $state<XAxis>(USUAL.x);
  linked = $state(USUAL.linked);
  band = $state(USUAL.band);
  /** Whoever keeps this elsewhere too hears of each change. */
  heard: () => void = () => undefined;

  constructor(private name: string) {
    Object.assign(this, readLook(readStored<unknown>(`view.${name}`, {})));
  }

  change(changes: Partial<Kept>): void {
    Object.assign(this, changes);
    writeStored(`view.${this.name}`, this.kept());
    this.heard();
  }

  kept(): Kept {
    const { smoothing, weighting, scale, robust, tip, x, linked, band } = this;
    return { smoothing, weighting, scale, robust, tip, x, linked, band };
  }
}
