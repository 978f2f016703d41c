// A device's page: its charts and its place (or its track) on a small map.

import { Marker } from "./vendor/maplibre-gl.mjs";
import { makeMap, repaint } from "./base-map.js";
import { drawCharts } from "./charts.js";
import { colour } from "./colours.js";
import { _ } from "./texts.js";

const device = document.getElementById("device");
const charts = document.getElementById("charts");
const isMobile = "mobile" in device.dataset;

let redraw = () => {};
document.addEventListener("theme", () => redraw());
let width = charts.clientWidth;
new ResizeObserver(() => {
  if (Math.abs(charts.clientWidth - width) < 20) return;
  width = charts.clientWidth;
  redraw();
}).observe(charts);

const askWhy = document.getElementById("ask-why"); // an operator's
askWhy?.addEventListener("click", showWhy);

const buttons = [...document.querySelectorAll("[data-span]")];
for (const button of buttons) button.addEventListener("click", () => show(button.dataset.span));
drawPlace(await show("day"));

/** Ask the worker how the device's rules stand; it may take three seconds to say that it does not answer. */
async function showWhy() {
  const shown = document.getElementById("why");
  askWhy.disabled = true;
  const answer = await fetch(`/devices/${device.dataset.deviceNo}/why`).catch(() => null);
  if (answer?.ok && !answer.redirected) shown.innerHTML = await answer.text(); // made by our own template, escaped there
  else say(shown, _("The rules could not be asked. Load the page again."));
  askWhy.disabled = false;
}

/** Draw what was said in a span of time; returns it, null when it could not be read. */
async function show(span) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.span === span));
  const answer = await fetch(`/api/devices/${device.dataset.deviceNo}/history?span=${span}`).catch(() => null);
  const history = answer?.ok ? await answer.json() : null;
  redraw = () => {};
  if (history === null) say(charts, _("The history could not be read. Load the page again."));
  else if (history.fields.every((field) => field.unit === "°")) say(charts, _("Nothing was heard in this time."));
  else redraw = drawCharts(charts, history);
  return history;
}

function drawPlace(history) {
  const frame = document.getElementById("small-map");
  const track = isMobile && history ? trackOf(history) : [];
  const place = track.at(-1) ?? (device.dataset.lat ? [Number(device.dataset.lon), Number(device.dataset.lat)] : null);
  if (place === null) return say(frame, isMobile ? _("No position in the last 24 hours.") : _("Its place is not declared."));
  let map;
  try {
    map = makeMap("small-map", { center: place, zoom: 15.5, cooperativeGestures: true });
  } catch (error) {
    console.error(error);
    return say(frame, `${place[1].toFixed(5)}, ${place[0].toFixed(5)}`);
  }
  const mark = document.createElement("span");
  mark.className = `state-mark big state-${device.dataset.state}`;
  new Marker({ element: mark }).setLngLat(place).addTo(map);
  const putTrack = () => {
    if (track.length < 2) return;
    map.addSource("track", { type: "geojson", data: { type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: track } } });
    map.addLayer({ id: "track", type: "line", source: "track", layout: { "line-join": "round" }, paint: { "line-color": colour("--line-1"), "line-width": 3 } });
  };
  map.once("style.load", putTrack);
  document.addEventListener("theme", () => repaint(map, putTrack));
  if (track.length > 1) map.fitBounds(boundsOf(track), { padding: 30, maxZoom: 16, animate: false });
}

function trackOf({ fields }) {
  const [lats, lons] = ["lat", "lon"].map((name) => fields.find((field) => field.name === name)?.values ?? []);
  return lons.map((lon, i) => [lon, lats[i]]).filter(([lon, lat]) => lon !== null && lat !== null && lat !== undefined);
}

function boundsOf(track) {
  const [lons, lats] = [track.map(([lon]) => lon), track.map(([, lat]) => lat)];
  return [[Math.min(...lons), Math.min(...lats)], [Math.max(...lons), Math.max(...lats)]];
}

function say(container, text) {
  container.replaceChildren(Object.assign(document.createElement("p"), { className: "muted", textContent: text }));
}
