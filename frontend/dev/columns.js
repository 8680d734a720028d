// The typed arrays of series/read, as docs/contracts.md section 4 has them.
const NAMES = ["x", "step", "time", "min", "max", "mean", "last", "count"];
const CELL = 8;
const numbers = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };
const number = (cell) => (cell === null ? NaN : typeof cell === "string" ? numbers[cell] : cell);

export function encode(series) {
  let offset = 0;
  const parts = [];
  const heads = series.map(({ columns, ...rest }) => {
    const offsets = {};
    for (const name of NAMES) {
      const part = Float64Array.from(columns[name], number);
      parts.push(Buffer.from(part.buffer));
      offsets[name] = offset;
      offset += part.length * CELL;
    }
    return { ...rest, length: columns.x.length, columns: offsets };
  });
  let head = Buffer.from(JSON.stringify({ series: heads }));
  head = Buffer.concat([head, Buffer.alloc((CELL - (head.length % CELL)) % CELL, " ")]);
  const prefix = Buffer.from("SWC\x01\0\0\0\0", "latin1");
  prefix.writeUInt32LE(head.length, 4);
  return Buffer.concat([prefix, head, ...parts]);
}
