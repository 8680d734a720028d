/** What a chart says at its crosshair, in words for a person who does not see it. */
import type { XAxis } from "../lib/columns";
import { duration, integer, number } from "../lib/format";
import { plural, t } from "../lib/i18n";
import { when } from "../lib/when";
import type { Reading } from "./lines";
import type { ChartMark } from "./paint";

const MOST = 4; // lines, and marks, read out at once

/** Where on the axis a reading stands. */
export const placeOf = (reading: Reading, x: XAxis): string =>
  x === "relative" ? duration(reading.x)
    : x === "relative_step" ? t("step +{n}", { n: integer(reading.x) })
      : x === "step" || x === "time" ? t("step {n}", { n: integer(reading.step) })
        : `${x} ${number(reading.x)}`;

/** Where on the axis a mark stands. */
export const markPlace = (at: number, x: XAxis): string =>
  x === "relative" ? duration(at)
    : x === "relative_step" ? t("step +{n}", { n: integer(at) })
      : x === "step" ? t("step {n}", { n: integer(at) })
        : x === "time" ? when(at * 1000, "second")
          : `${x} ${number(at)}`;

export function sayReading(readings: Reading[], marks: ChartMark[], x: XAxis, format: (value: number, second?: boolean) => string): string {
  if (!readings.length) return "";
  const values = readings.slice(0, MOST).map((reading) => (readings.length > 1 ? `${reading.label} ` : "") + (reading.left ? `(${t("left behind")}) ` : "") + format(reading.smoothed ?? reading.value, reading.second));
  const rest = readings.length > MOST ? ` ${t("and {n} more", { n: readings.length - MOST })}` : "";
  const more = marks.length > MOST ? `. ${plural(marks.length - MOST, "{n} more mark", "{n} more marks")}` : "";
  return `${placeOf(readings[0], x)}: ${values.join(", ")}${rest}${marks.slice(0, MOST).map((mark) => `. ${mark.label}`).join("")}${more}`;
}
