/**
 * The answer of series/read as typed arrays: views of the body where it lies, no number is parsed.
 *
 * "SWC\\x01" | length of the head, uint32 | head, JSON | columns of float64; docs/contracts.md section 4. All is
 * little-endian, as every machine with a browser is.
 */
import { emptyColumns, NAMES, type Columns } from "../lib/columns";
import { t } from "../lib/i18n";
import type { Buckets } from "./types";

export const COLUMNS_TYPE = "application/x-scaleweb-columns";
const MAGIC = 0x01435753;
const PREFIX_BYTES = 8;
const CELL_BYTES = 8;

interface Head {
  series: (Omit<Buckets, "columns"> & { length: number; columns: Record<keyof Columns, number> })[];
}

/** Raises an Error in words where the body is not what the contract says. */
export function decodeColumns(body: ArrayBuffer): Buckets[] {
  if (body.byteLength < PREFIX_BYTES) throw new Error(t("The server's columns are cut short: {n} bytes.", { n: body.byteLength }));
  const prefix = new DataView(body, 0, PREFIX_BYTES);
  if (prefix.getUint32(0, true) !== MAGIC) throw new Error(t("The server's answer is not of the form that this page reads. Load the page again."));
  const start = PREFIX_BYTES + prefix.getUint32(4, true);
  if (start > body.byteLength) throw new Error(t("The server's columns are cut short: a head of {start} bytes in a body of {n}.", { start, n: body.byteLength }));
  const { series } = JSON.parse(new TextDecoder().decode(new Uint8Array(body, PREFIX_BYTES, start - PREFIX_BYTES))) as Head;
  return series.map(({ length, columns: offsets, ...rest }) => {
    const columns = emptyColumns();
    for (const name of NAMES) {
      const at = start + offsets[name];
      if (at + length * CELL_BYTES > body.byteLength) throw new Error(t("The server's columns are cut short: {key} lacks values.", { key: rest.key }));
      columns[name] = new Float64Array(body, at, length);
    }
    return { ...rest, columns };
  });
}
