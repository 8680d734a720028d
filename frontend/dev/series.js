// Buckets over what the made-up world holds.
const text = (value) => (Number.isFinite(value) ? value : Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");

export function read(site, { sources, keys, width, x, start, end }) {
  const out = [];
  for (const source of sources) {
    const series = site.series.get(source);
    if (!series) continue;
    for (const key of keys) {
      const points = series.get(key);
      if (points) for (const group of groups(points, site.faded.get(source) ?? [])) out.push(buckets(source, key, group, { width, x, start, end }, points[0].time));
    }
  }
  return out;
}

function groups(points, faded) {
  const found = new Map();
  for (const point of points) {
    const gone = faded.some((each) => point.branch === each.branch && point.step > each.from && point.step <= each.to);
    const name = `${point.branch}:${gone}`;
    if (!found.has(name)) found.set(name, { branch: point.branch, faded: gone, points: [] });
    found.get(name).points.push(point);
  }
  return found.values();
}

function buckets(source, key, { branch, faded, points }, { width, x, start, end }, origin) {
  const at = (point) => (x === "time" ? point.time : x === "relative" ? point.time - origin : point.step);
  const inside = points.filter((point) => (start === null || at(point) >= start) && (end === null || at(point) <= end));
  let bucket = 1;
  const span = inside.length ? inside[inside.length - 1].step - inside[0].step : 0;
  while (span / bucket > width) bucket *= 2;
  const columns = { x: [], step: [], time: [], min: [], max: [], mean: [], last: [], count: [] };
  const nonFinite = [];
  let open = null;
  for (const point of inside) {
    const start = Math.floor(point.step / bucket);
    if (open !== start) {
      for (const [name, value] of Object.entries({ x: at(point), step: point.step, time: point.time, min: null, max: null, mean: null, last: null, count: 0 })) columns[name].push(value);
      open = start;
    }
    const i = columns.x.length - 1;
    columns.count[i] += 1;
    columns.last[i] = text(point.value);
    if (!Number.isFinite(point.value)) {
      nonFinite.push({ step: point.step, x: at(point), kind: text(point.value) });
      continue;
    }
    columns.min[i] = columns.min[i] === null ? point.value : Math.min(columns.min[i], point.value);
    columns.max[i] = columns.max[i] === null ? point.value : Math.max(columns.max[i], point.value);
    columns.mean[i] = columns.mean[i] === null ? point.value : columns.mean[i] + (point.value - columns.mean[i]) / columns.count[i];
  }
  return { source, key, branch, faded, x, bucket, exact: bucket === 1, columns, non_finite: nonFinite };
}
