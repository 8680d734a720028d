/** How a chart is looked at, in words that a saved view keeps. */
export const SCALES = ["linear", "log", "symlog"] as const;
export const WEIGHTINGS = ["points", "distance"] as const;
export const TIP_ORDERS = ["nearest", "value", "name"] as const;

export type Scale = (typeof SCALES)[number];
/** What smoothing counts by: points, or how far they lie apart on the axis. */
export type Weighting = (typeof WEIGHTINGS)[number];
export type TipOrder = (typeof TIP_ORDERS)[number];

export interface Look {
  smoothing: number; // 0 (off) to below 1
  weighting: Weighting;
  scale: Scale;
  robust: boolean;
  tip: TipOrder;
}

export const PLAIN: Look = { smoothing: 0, weighting: "points", scale: "linear", robust: false, tip: "nearest" };
