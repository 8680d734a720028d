/** What a chart says at its crosshair, in words for a person who does not see it. */
import type { XAxis } from "../lib/columns";
import { duration, integer, number } from "../lib/format";
import { t } from "../lib/i18n";
import type { Reading } from "./lines";
import type { ChartMark } from "./paint";

const MOST = 4; // lines read out at once

/** Where on the axis a reading stands. */
export const placeOf = (reading: Reading, x: XAxis): string =>
  x === "relative" ? duration(reading.x)
    : x === "relative_step" ? t("step +{n}", { n: integer(reading.x) })
      : x === "step" || x === "time" ? t("step {n}", { n: integer(reading.step) })
        : `${x} ${number(reading.x)}`;

export function sayReading(readings: Reading[], marks: ChartMark[], x: XAxis, format: (value: number, second?: boolean) => string): string {
  if (!readings.length) return "";
  const values = readings.slice(0, MOST).map((reading) => (readings.length > 1 ? `${reading.label} ` : "") + format(reading.smoothed ?? reading.value, reading.second));
  const rest = readings.length > MOST ? ` ${t("and {n} more", { n: readings.length - MOST })}` : "";
  return `${placeOf(readings[0], x)}: ${values.join(", ")}${rest}${marks.length ? `. ${marks.map((mark) => mark.label).join(". ")}` : ""}`;
}
