// The live page: joins stream, pictures, map and incident list.

import { cityBounds, makeMap, repaint } from "./base-map.js";
import { colour } from "./colours.js";
import { IncidentList } from "./incidents.js";
import { KindPicture } from "./picture.js";
import { PointsLayer } from "./points.js";
import { Stream } from "./stream.js";
import { _, clockTime, ngettext, number } from "./texts.js";

const RELOAD_PAUSE_MS = 3000;
const CLOSE_ZOOM = 16;
const $ = (id) => document.getElementById(id);

const { kinds, states } = await (await fetch("/api/kinds")).json();
const pictures = kinds.map((kind) => new KindPicture(kind));
const pictureOf = Object.fromEntries(pictures.map((picture) => [picture.kind.name, picture]));
const incidents = new IncidentList($("incident-list"), $("incident-count"));
const bounds = await cityBounds();
const fences = await loadFences();
const city = openMap();
drawSymbols();
await Promise.all(pictures.map((picture) => picture.load()));
city?.points.changed();
drawCounts();
const stream = new Stream("/live");

stream.addEventListener("picture", ({ detail }) => {
  const picture = pictureOf[detail.kind];
  if (picture && !picture.apply(detail)) reloadSoon(picture);
  city?.points.changed();
  drawCountsSoon();
});
stream.addEventListener("incidents", ({ detail }) => {
  incidents.replace(detail);
  flyToAsked();
});
stream.addEventListener("incident", ({ detail }) => incidents.update(detail));
stream.addEventListener("status", showFreshness);
stream.addEventListener("tick", showFreshness);
incidents.addEventListener("choose", ({ detail }) => flyTo(detail));
document.addEventListener("theme", () => city?.repaint());

for (const item of document.querySelectorAll("[data-kind]")) {
  item.querySelector("input").addEventListener("change", (event) => city?.points.show(item.dataset.kind, event.target.checked));
}
const legend = $("legend");
if (matchMedia("(max-width: 800px)").matches) legend.open = false;

// ---- the map ----

function openMap() {
  const isNarrow = matchMedia("(max-width: 800px)").matches;
  const where = bounds ? { bounds, fitBoundsOptions: { padding: 24 } } : { center: [5.04, 47.32], zoom: 11 };
  let map;
  try {
    map = makeMap("map", { ...where, hash: "place", cooperativeGestures: isNarrow });
  } catch (error) {
    console.error(error);
    $("map").append(Object.assign(document.createElement("p"), { className: "note", textContent: _("This browser cannot draw the map (it needs WebGL 2). Lists and pages work without it.") }));
    return null;
  }
  const points = new PointsLayer(pictures, bounds ? [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2] : [5.04, 47.32]);
  const putOurs = () => {
    if (fences && !map.getSource("fences")) putFences(map);
    if (!map.getLayer(points.id)) map.addLayer(points, map.getLayer("commune-names") ? "commune-names" : undefined);
    points.recolour();
  };
  map.once("style.load", putOurs); // not "load": that waits for a base map that may not answer
  map.on("click", (event) => {
    const deviceNo = points.find(event.point);
    if (deviceNo !== null) location.assign(`/devices/${deviceNo}`);
  });
  watchPointer(map, points);
  return { map, points, repaint: () => repaint(map, putOurs) };
}

function putFences(map) {
  map.addSource("fences", { type: "geojson", data: fences });
  map.addLayer({ id: "fences", type: "line", source: "fences", paint: { "line-color": colour("--map-name"), "line-width": 1.5, "line-dasharray": [1, 2] } });
  $("fence-legend").hidden = false;
}

/** What the fences cover as GeoJSON; null where there are none. */
async function loadFences() {
  const answer = await fetch("/api/map/fences.geojson").catch(() => null);
  const found = answer?.ok ? await answer.json() : null;
  return found?.features.length ? found : null;
}

function watchPointer(map, points) {
  const tip = $("tip");
  let under = null, timer = 0, pointer = null;
  map.on("mousemove", ({ point }) => {
    if (pointer === null) requestAnimationFrame(look); // once a frame is often enough
    pointer = point;
  });

  function look() {
    const point = pointer;
    pointer = null;
    if (map.isMoving()) return;
    const deviceNo = points.find(point);
    map.getCanvas().classList.toggle("pointing", deviceNo !== null);
    if (deviceNo === under) return;
    under = deviceNo;
    tip.hidden = true;
    clearTimeout(timer);
    if (deviceNo !== null) timer = setTimeout(() => tell(deviceNo, point), 120);
  }

  map.on("movestart", () => { tip.hidden = true; under = null; clearTimeout(timer); });

  async function tell(deviceNo, point) {
    const answer = await fetch(`/api/devices/${deviceNo}`).catch(() => null);
    if (!answer?.ok || under !== deviceNo) return;
    const device = await answer.json();
    const lines = [device.name, [device.street, device.commune].filter(Boolean).join(", "), device.to_commission ? _("to commission") : device.state_label];
    tip.replaceChildren(...lines.filter(Boolean).map((line) => Object.assign(document.createElement("div"), { textContent: line })));
    tip.hidden = false;
    const frame = $("map").getBoundingClientRect();
    tip.style.left = `${Math.min(point.x + 14, frame.width - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(point.y + 14, frame.height - tip.offsetHeight - 8)}px`;
  }
}

function flyTo(card) {
  const place = pictureOf[card.kind]?.place(card.cause_no) ?? (card.lat === null ? null : [card.lon, card.lat]);
  if (!city || !place) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  city.map[isCalm ? "jumpTo" : "flyTo"]({ center: place, zoom: Math.max(CLOSE_ZOOM, city.map.getZoom()) });
  if (matchMedia("(max-width: 800px)").matches) $("map").scrollIntoView({ behavior: isCalm ? "auto" : "smooth" });
}

function flyToAsked() {
  const url = new URL(location.href);
  const card = incidents.get(Number(url.searchParams.get("incident")));
  if (!url.searchParams.has("incident")) return;
  url.searchParams.delete("incident");
  history.replaceState(null, "", url);
  if (card) flyTo(card);
}

// ---- counters ----

let isCounting = false;
function drawCountsSoon() {
  if (isCounting) return;
  isCounting = true;
  requestAnimationFrame(() => { isCounting = false; drawCounts(); });
}

function drawCounts() {
  for (const item of document.querySelectorAll("[data-kind]")) {
    const { byState, toCommission, total } = pictureOf[item.dataset.kind].counts();
    const urgent = byState[6] + byState[5], faults = urgent + byState[4];
    const worst = byState[6] ? 6 : byState[5] ? 5 : 4;
    item.querySelector(".kind-total").textContent = number(total);
    drawBar(item.querySelector(".bar"), byState);
    const parts = [
      [2, byState[2], _("normal")], [1, byState[1], _("resting")], [3, byState[3], _("silent")],
      [worst, faults, urgent ? ngettext("at fault, {n} urgent", "at fault, {n} urgent", urgent) : _("at fault")], [0, byState[0], _("not heard yet")],
    ].filter(([state, count]) => count > 0 || (state !== 0 && state !== 1));
    if (toCommission) parts.push([null, toCommission, _("to commission")]);
    item.querySelector(".kind-counts").replaceChildren(...parts.map(([state, count, label]) => drawCount(state, count, label)));
  }
}

function drawCount(state, count, label) {
  const item = document.createElement("li");
  const mark = document.createElement("span");
  mark.className = state === null ? "state-mark new-mark" : `state-mark state-${state}`;
  mark.ariaHidden = "true";
  const strong = document.createElement("strong");
  strong.textContent = number(count);
  item.append(mark, strong, ` ${label}`);
  if (count === 0) item.className = "none";
  return item;
}

function drawBar(bar, byState) {
  const total = byState.reduce((sum, count) => sum + count, 0) || 1;
  const parts = [6, 5, 4, 3, 2, 1, 0].filter((state) => byState[state] > 0).map((state) => {
    const part = document.createElement("span");
    part.className = `state-${state}`;
    part.style.flexGrow = byState[state] / total;
    return part;
  });
  bar.replaceChildren(...parts);
}

function drawSymbols() {
  const marks = { dot: "●", square: "■", diamond: "◆", triangle: "▲", arrow: "▲" };
  const byMark = new Map();
  for (const { symbol, label } of kinds.flatMap((kind) => kind.types)) {
    byMark.set(marks[symbol], [...(byMark.get(marks[symbol]) ?? []), label]);
  }
  $("symbols").replaceChildren(...[...byMark].map(([mark, labels]) => {
    const item = document.createElement("li");
    const sign = Object.assign(document.createElement("span"), { className: "symbol", textContent: mark, ariaHidden: "true" });
    item.append(sign, labels.join(", "));
    return item;
  }));
}

const reloads = new Map();
function reloadSoon(picture) {
  if (reloads.has(picture)) return;
  reloads.set(picture, setTimeout(async () => {
    await picture.load().catch(console.error);
    reloads.delete(picture);
    city?.points.changed();
    drawCounts();
  }, RELOAD_PAUSE_MS));
}

// ---- how fresh it is ----

function showFreshness() {
  const now = stream.nowUs;
  if (now !== null) {
    $("clock").textContent = clockTime(now);
    incidents.age(now);
  }
  const fresh = stream.freshness;
  const age = fresh.ageS === null ? null : Math.floor(fresh.ageS);
  const trouble = [];
  if (fresh.isLost) trouble.push(_("The page has lost the hub and tries again."));
  else {
    if (!fresh.broker) trouble.push(_("The broker does not answer: states are not up to date."));
    else if (fresh.isLate) trouble.push(_("No live picture comes: the worker may be stopped."));
    if (!fresh.database) trouble.push(_("The database does not answer: incidents are not up to date."));
  }
  if (trouble.length && (fresh.isLost || fresh.isLate)) {
    trouble.push(age === null ? _("No picture was received yet.") : _("What is shown is {n} s old.", { n: number(age) }));
  }
  const strip = $("strip");
  const text = fresh.isWaiting && !fresh.isLost ? "" : trouble.join(" ");
  if (strip.textContent !== text) strip.textContent = text;
  strip.hidden = text === "";
  $("freshness").className = `freshness ${text ? "is-late" : "is-live"}`;
  $("freshness").textContent = text ? _("not live") : age === null ? _("connecting") : _("live, {n} s", { n: number(age) });
}

// For tests and for the curious: how many points are drawn, and how the picture stands.
globalThis.beffroi = { pictures: pictureOf, city, stream, states };
