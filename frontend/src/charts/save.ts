/** A chart as a file: a picture as it is on the screen, a drawing, a table. */
import { t } from "../lib/i18n";
import { csvOf } from "./csv";
import { saveBlob, type Format } from "./files";
import type { Plot } from "./plot";
import { svgOf } from "./svg";

/** Ask the browser to keep a chart as a file named after its title. */
export async function save(plot: Plot, title: string, format: Format): Promise<void> {
  const blob = format === "png" ? await picture(plot, title) : format === "svg" ? new Blob([drawing(plot, title)], { type: "image/svg+xml" }) : new Blob([table(plot)], { type: "text/csv" });
  saveBlob(blob, title, format);
}

const table = (plot: Plot): string => csvOf(plot.lines, plot.range, (plot.setting?.look.smoothing ?? 0) > 0);

function drawing(plot: Plot, title: string): string {
  const { lines, marks, range, ranges, ticks, threshold, colour, setting, u } = plot;
  return svgOf({ title, width: Math.max(480, u!.width), height: Math.max(280, u!.height + 34), lines, marks, range, ranges, ticks, scale: setting!.look.scale, threshold, smoothing: setting!.look.smoothing > 0, colour });
}

const MOST_IN_LEGEND = 40;

function picture(plot: Plot, title: string): Promise<Blob> {
  const { u, lines, colour } = plot;
  const chart = u!.ctx.canvas;
  const unit = devicePixelRatio;
  const legend = lines.length > 1 ? lines.slice(0, MOST_IN_LEGEND) : [];
  const [head, row] = [30 * unit, 17 * unit];
  const canvas = document.createElement("canvas");
  canvas.width = chart.width;
  canvas.height = chart.height + head + legend.length * row + (legend.length ? 8 * unit : 0);
  const ctx = canvas.getContext("2d")!;
  ctx.fillStyle = colour("--surface");
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.fillStyle = colour("--text");
  ctx.font = `600 ${13 * unit}px system-ui, sans-serif`;
  ctx.fillText(title, 12 * unit, 20 * unit, canvas.width - 24 * unit);
  ctx.drawImage(chart, 0, head);
  ctx.font = `${11 * unit}px system-ui, sans-serif`;
  legend.forEach((line, i) => {
    const top = head + chart.height + i * row;
    ctx.fillStyle = colour(line.colour);
    ctx.fillRect(14 * unit, top + 3 * unit, 9 * unit, 9 * unit);
    ctx.fillStyle = colour("--text-2");
    ctx.fillText(line.label, 30 * unit, top + 11 * unit, canvas.width - 44 * unit);
  });
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error(t("The browser could not write the picture.")))), "image/png"));
}
