/** One chart on the page: uPlot for axes, crosshair and selection, our own lines on it, and what a hand does with it. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { XAxis } from "../lib/columns";
import type { Unit } from "../lib/units";
import { panned, pinched, type Range } from "../lib/zoom";
import { crowdsOf, type Crowd } from "./crowd";
import { extentX, extentY, padded, smoothed, type ChartLine, type ShownLine } from "./lines";
import type { Look } from "./look";
import { DRAG, options, type Ticks } from "./options";
import { paintLines, paintOver, paintUnder, type ChartMark, type Scene } from "./paint";
import { shareOf, symlogThreshold } from "./projection";
import { listenToFingers } from "./touch";

export interface Setting {
  x: XAxis;
  units: [first: Unit, second: Unit];
  look: Look;
  height: number;
  syncKey: string;
  range: Range | null; // null: everything there is
  whole: (extent: Range) => Range; // everything there is to zoom in, from what these lines hold
  together: boolean; // where nothing is zoomed, that is shown, and not what these lines hold alone
}

/** What its owner hears of. */
export interface Ears {
  moved: (left: number, top: number) => void; // the crosshair, its own or its group's; left below 0 when it is gone
  entered: (inside: boolean) => void;
  clicked: () => void;
  zoomed: (range: Range | null) => void;
  /** A drag has ended, during which nothing was drawn. */
  released: () => void;
}

export interface Drawn {
  hidden: number;
  outside: number;
  points: number;
  badFrom: number; // the first step in view whose value is not finite; Infinity where there is none
}

export class Plot {
  lines: ShownLine[] = [];
  marks: ChartMark[] = [];
  crowds: Crowd[] = []; // the same as they are drawn
  all: Range = [0, 1];
  range: Range = [0, 1];
  ranges: [Range, Range] = [[0, 1], [0, 1]];
  threshold = 1;
  hoveredMark = "";
  near = "";
  held = false; // a drag chooses a range: what is live must not move what it chooses from
  u: uPlot | null = null;
  setting: Setting | null = null;
  ticks: Ticks[] = [];
  private shape = "";
  private styles: CSSStyleDeclaration | null = null;
  private colours = new Map<string, string>();

  constructor(
    private box: HTMLElement,
    private ears: Ears,
  ) {}

  /** Draws the lines; null where they hold no point at all. */
  draw(lines: ChartLine[], marks: (lines: ChartLine[]) => ChartMark[], setting: Setting): Drawn | null {
    const { look, units } = setting;
    this.setting = setting;
    this.lines = smoothed(lines, look.smoothing, look.weighting);
    const extent = extentX(lines);
    if (!extent) {
      this.destroy();
      return null;
    }
    const shown: Range = extent[0] === extent[1] ? [extent[0] - 1, extent[1] + 1] : extent;
    this.all = setting.whole(shown);
    this.range = setting.range ?? (setting.together ? this.all : shown);
    this.threshold = look.scale === "symlog" ? symlogThreshold(this.lines) : 1;
    const sides = [false, true].map((second) => this.lines.filter((line) => !!line.second === second));
    const found = sides.map((side) => extentY(side, this.range, look.scale, look.robust));
    this.ranges = found.map((high, i) =>
      high ? padded(high, look.scale, units[i] === "ratio") : look.scale === "log" ? [0.1, 1] : [0, 1],
    ) as [Range, Range];
    this.marks = marks(lines);
    const second = sides[1].length > 0;
    const ends = Float64Array.from(this.range);
    const data = [ends, this.ranges[0], ...(second ? [this.ranges[1]] : [])] as uPlot.AlignedData;
    const wanted = JSON.stringify([look.scale, this.threshold, setting.x, units, setting.height, second, setting.syncKey]);
    if (this.u && wanted === this.shape) this.u.setData(data);
    else this.build(wanted, data, setting, second);
    return {
      hidden: (found[0]?.hidden ?? 0) + (found[1]?.hidden ?? 0),
      outside: (found[0]?.outside ?? 0) + (found[1]?.outside ?? 0),
      points: lines.reduce((sum, line) => sum + line.columns.x.length, 0),
      badFrom: lines.reduce((least, line) => line.nonFinite.reduce((first, { x, step }) => (x < this.range[0] || x > this.range[1] ? first : Math.min(first, step)), least), Infinity),
    };
  }

  /** Draw the same again: something is pointed at. */
  redraw(): void {
    this.u?.redraw(false, false);
  }

  resize(width: number): void {
    if (this.u && width && width !== this.u.width) this.u.setSize({ width, height: this.u.height });
  }

  /** Colours come from the style sheet, which another theme changes. */
  forgetColours(): void {
    this.styles = null;
    this.colours = new Map();
  }

  colour = (name: string): string => {
    if (!name.startsWith("--")) return name;
    let value = this.colours.get(name);
    if (value === undefined) {
      this.styles ??= getComputedStyle(document.documentElement);
      this.colours.set(name, (value = this.styles.getPropertyValue(name).trim() || "#888"));
    }
    return value;
  };

  /** The crosshair at a place of this plot; the others of the group follow. */
  point(left: number, top: number): void {
    // uPlot's third argument, that the group is told too, is missing in its types.
    (this.u?.setCursor as undefined | ((at: { left: number; top: number }, hooks: boolean, publish: boolean) => void))?.({ left, top }, true, true);
  }

  destroy(): void {
    this.u?.destroy();
    this.u = null;
    this.shape = "";
  }

  scene = (): Scene => ({
    lines: this.lines, range: this.range, ranges: this.ranges, smoothing: (this.setting?.look.smoothing ?? 0) > 0,
    scale: this.setting?.look.scale ?? "linear", threshold: this.threshold, near: this.near, colour: this.colour,
  });

  private build(wanted: string, data: uPlot.AlignedData, { x, units, look, height, syncKey }: Setting, second: boolean): void {
    this.u?.destroy();
    this.shape = wanted;
    this.u = new uPlot(
      options({
        width: this.box.clientWidth, height, x, units, second, scale: look.scale, threshold: this.threshold, colour: this.colour, syncKey,
        rangeX: () => this.range, ranges: () => this.ranges, ticked: (axis, ticks) => (this.ticks[axis] = ticks),
        hooks: {
          draw: [(u) => this.paint(u)],
          setCursor: [(u) => this.ears.moved(u.cursor.left ?? -1, u.cursor.top ?? -1)],
          setSelect: [(u) => this.selected(u)],
        },
      }),
      data,
      this.box,
    );
    this.listen(this.u);
  }

  private paint({ ctx, bbox }: uPlot): void {
    const [scene, width, share] = [this.scene(), bbox.width / devicePixelRatio, shareOf("linear", this.range, 1)];
    this.crowds = crowdsOf(this.marks, (x) => width * share(x), width);
    paintUnder(ctx, bbox, scene, this.crowds, this.hoveredMark);
    paintLines(ctx, bbox, scene);
    paintOver(ctx, bbox, scene, this.crowds, this.hoveredMark);
  }

  private selected(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 6) return;
    const range: Range = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (range[1] > range[0]) this.ears.zoomed(range);
  }

  private listen(u: uPlot): void {
    const { over } = u;
    over.addEventListener("mouseenter", () => this.ears.entered(true));
    over.addEventListener("mouseleave", () => this.ears.entered(false));
    over.addEventListener("dblclick", () => this.ears.zoomed(null));
    let pressed = 0;
    over.addEventListener("click", (event) => Math.abs(event.clientX - pressed) < DRAG && !event.shiftKey && !event.altKey && this.ears.clicked());
    over.addEventListener("pointerdown", (event) => {
      pressed = event.clientX;
      this.hold(event);
      this.pan(event);
    });
    let before: Range = this.range;
    listenToFingers(over, {
      point: (left, top) => {
        this.ears.entered(true);
        this.point(left, top);
      },
      start: () => (before = this.range),
      pinch: (from, to) => this.ears.zoomed(pinched(before, this.all, over.clientWidth, from, to)),
    });
  }

  private hold(event: PointerEvent): void {
    if (event.pointerType === "touch" || event.button || event.shiftKey || event.altKey) return;
    this.held = true;
    const end = () => {
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      this.held = false;
      this.ears.released();
    };
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }

  /** A drag with shift or alt moves what is shown along the axis. */
  private pan(event: PointerEvent): void {
    if (event.pointerType === "touch" || event.button || !(event.shiftKey || event.altKey) || !this.u) return;
    event.preventDefault();
    const { over } = this.u;
    const [from, range, all] = [event.clientX, this.range, this.all];
    over.setPointerCapture(event.pointerId);
    const move = (now: PointerEvent) => this.ears.zoomed(panned(range, all, (now.clientX - from) / over.clientWidth));
    const end = () => {
      over.removeEventListener("pointermove", move);
      over.removeEventListener("pointerup", end);
      over.removeEventListener("pointercancel", end);
    };
    over.addEventListener("pointermove", move);
    over.addEventListener("pointerup", end);
    over.addEventListener("pointercancel", end);
  }
}
