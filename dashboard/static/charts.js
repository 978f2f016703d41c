// Charts of what one device said: rises of counters as bars, measures as lines (uPlot), flags as bars on a line of time (SVG).

import uPlot from "./vendor/uplot.mjs";
import { colour } from "./colours.js";
import { day, dayAndTime, number, timeOfDay } from "./texts.js";

const HEIGHT = 150;
const LINES = ["--line-1", "--line-2", "--line-3"];
const SVG = "http://www.w3.org/2000/svg";
const TOGETHER = new Set(["%", "°C"]); // units whose fields are worth comparing in one chart

/** Draw a history; returns a function that draws it again (theme, width). */
export function drawCharts(container, history) {
  const groups = grouped(history.fields.filter((field) => field.storage !== "flag" && field.unit !== "°"));
  const flags = history.fields.filter((field) => field.storage === "flag");
  let plots = [];
  const draw = () => {
    plots.forEach((plot) => plot.destroy());
    container.replaceChildren();
    plots = groups.map((fields) => lineChart(container, history, fields));
    if (flags.length) container.append(flagChart(history, flags));
  };
  draw();
  return draw;
}

function grouped(fields) {
  const groups = new Map();
  for (const field of fields) {
    const key = TOGETHER.has(field.unit) ? field.unit : field.name;
    groups.set(key, [...(groups.get(key) ?? []), field]);
  }
  return [...groups.values()];
}

function lineChart(container, history, fields) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const unit = fields[0].unit;
  fields.forEach((field, place) => {
    const name = document.createElement("span");
    name.className = `line-${place + 1}`;
    name.textContent = field.label;
    caption.append(name);
  });
  const last = document.createElement("span");
  last.className = "value";
  caption.append(last);
  const body = document.createElement("div");
  figure.append(caption, body);
  container.append(figure);
  const band = fields.length === 1 && fields[0].low ? [fields[0].low, fields[0].high] : [];
  const tell = (index) => {
    const at = index ?? lastKnown(fields[0].values);
    const values = fields.map((field) => field.values[at]).filter((value) => value !== null && value !== undefined);
    const when = history.bucket_s >= 86_400 ? day : dayAndTime;
    last.textContent = values.length ? `${`${values.map((value) => number(value)).join(" / ")} ${unit}`.trim()}, ${when(history.at[at])}` : "";
  };
  tell(null);
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return new uPlot(
    {
      width: body.clientWidth || 320,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      hooks: { setCursor: [(plot) => tell(plot.cursor.idx)] },
      scales: { x: { range: [history.from, history.to] }, y: { range: (_plot, low, high) => padded(low, high) } },
      axes: [
        { ...axis, values: (_plot, ticks) => ticks.map(history.bucket_s ? day : timeOfDay), space: 60, size: 28 },
        { ...axis, space: 26, values: (_plot, ticks) => ticks.map((tick) => number(tick)), size: (_plot, values) => 16 + 7 * Math.max(3, ...(values ?? []).map((v) => v.length)) },
      ],
      series: [
        {},
        ...fields.map((field, place) => ({
          stroke: colour(LINES[place % LINES.length]),
          width: 1.6,
          dash: place === 1 ? [5, 3] : undefined,
          spanGaps: !history.bucket_s,
          ...(field.bars
            ? { paths: uPlot.paths.bars({ size: [0.8, 40], align: 1 }), fill: colour(LINES[place]), points: { show: false } }
            : { points: { show: history.at.length < 60, size: 5 } }),
        })),
        ...band.map(() => ({ stroke: "transparent", points: { show: false } })),
      ],
      bands: band.length ? [{ series: [3, 2], fill: colour("--band") }] : [],
    },
    [history.at, ...fields.map((field) => field.values), ...band],
    body,
  );
}

const lastKnown = (values) => values.findLastIndex((value) => value !== null);

function padded(low, high) {
  if (low === null || high === null) return [0, 1];
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low >= 0 && low - margin < 0 ? 0 : low - margin, high + margin];
}

function flagChart(history, flags) {
  const figure = document.createElement("figure");
  figure.className = "flags";
  const rows = flags.map((flag) => {
    const row = document.createElement("div");
    const name = Object.assign(document.createElement("span"), { textContent: flag.label });
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 1000 10");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const [from, to] of spans(history, flag.values)) {
      const bar = document.createElementNS(SVG, "rect");
      const x = (s) => (1000 * (s - history.from)) / (history.to - history.from);
      bar.setAttribute("x", x(from));
      bar.setAttribute("width", Math.max(2, x(to) - x(from)));
      bar.setAttribute("height", 10);
      svg.append(bar);
    }
    row.append(name, svg);
    return row;
  });
  figure.append(...rows);
  return figure;
}

/** [from, to] in seconds of the times at which a flag was set, until it was told otherwise. */
function spans(history, values) {
  const found = [];
  let start = null, last = null;
  values.forEach((value, i) => {
    if (value === null) return;
    if (value && start === null) start = history.at[i];
    if (!value && start !== null) { found.push([start, history.at[i]]); start = null; }
    last = history.at[i] + (history.bucket_s ?? 0);
  });
  if (start !== null) found.push([start, last]);
  return found;
}
