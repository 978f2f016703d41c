// The map under the devices: the city's own communes and streets, names drawn with the machine's fonts; or a real
// base map that the hub's settings name, under the communes' borders.

import { AttributionControl, Map as GlMap, NavigationControl, ScaleControl } from "./vendor/maplibre-gl.mjs";
import { colour, rgb } from "./colours.js";
import { _ } from "./texts.js";

const FONT = ["Noto Sans, DejaVu Sans, Arial, sans-serif"];
const STYLE_LIMIT_MS = 5000;
const VEIL = { day: 0.15, night: 0.8 };
/** Greys the tiles by day so that states stand out; turns them into a negative where only the day's are at hand. */
const TILES_BY_DAY = { "raster-saturation": -0.6 };
const TILES_TURNED = { "raster-saturation": -1, "raster-brightness-min": 0.75, "raster-brightness-max": 0.05 };

const asked = await (await fetch("/api/map")).json();
const [day, night] = await Promise.all([loadReal(asked.style), loadReal(asked.style_night)]);

/** A real base map as { tiles } or { style }; null where there is none or its host does not answer in time. */
async function loadReal(url) {
  if (url === null) return null;
  if (url.includes("{z}")) return { tiles: url };
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(STYLE_LIMIT_MS) });
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
    return { style: await answer.json() };
  } catch (error) {
    console.warn("the base map's style cannot be read", error);
    return null;
  }
}

function style() {
  const isNight = rgb("--map-ground")[0] < 0.5;
  const real = isNight ? night ?? day : day;
  if (real === null) return ownStyle();
  const isTurned = isNight && night === null;
  return real.tiles ? tilesStyle(real.tiles, isTurned) : veiledStyle(real.style, isTurned);
}

function tilesStyle(tiles, isTurned) {
  return {
    version: 8,
    sources: { communes: COMMUNES, tiles: { type: "raster", tiles: [tiles], tileSize: 256, maxzoom: 19 } },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": colour("--map-ground") } },
      { id: "tiles", type: "raster", source: "tiles", paint: isTurned ? TILES_TURNED : night ? {} : TILES_BY_DAY },
      edges(),
    ],
  };
}

/** Somebody's style with a veil of our ground over it, so that states stand out in either theme, and our borders. */
function veiledStyle(real, isTurned) {
  const veil = { "background-color": colour("--map-ground"), "background-opacity": isTurned ? VEIL.night : VEIL.day };
  return {
    ...real,
    sources: { ...real.sources, communes: COMMUNES },
    layers: [...real.layers, { id: "veil", type: "background", paint: veil }, edges()],
  };
}

const OURS = ["communes", "fences"]; // what the hub itself answers
const COMMUNES = { type: "geojson", data: "/api/map/communes.geojson" };

function edges() {
  return { id: "edges", type: "line", source: "communes", paint: { "line-color": colour("--map-edge"), "line-width": 1, "line-dasharray": [3, 2] } };
}

function ownStyle() {
  const ground = colour("--map-ground"), land = colour("--map-land"), street = colour("--map-street");
  const name = colour("--map-name"), halo = colour("--map-ground");
  const width = (...stops) => ["interpolate", ["exponential", 1.6], ["zoom"], ...stops];
  const byRank = (...widths) => ["match", ["get", "rank"], 0, widths[0], 1, widths[1], 2, widths[2], widths[3]];
  return {
    version: 8,
    sources: {
      communes: COMMUNES,
      streets: { type: "geojson", data: "/api/map/streets.geojson" },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": ground } },
      { id: "land", type: "fill", source: "communes", paint: { "fill-color": land } },
      {
        id: "streets", type: "line", source: "streets", layout: { "line-cap": "round", "line-join": "round" },
        filter: ["<=", ["get", "rank"], ["step", ["zoom"], 1, 11, 2, 12.5, 3]],
        paint: { "line-color": street, "line-width": width(10, byRank(1, 0.7, 0.4, 0.3), 14, byRank(3.2, 2.4, 1.6, 1.1), 18, byRank(18, 15, 11, 8)) },
      },
      edges(),
      {
        id: "street-names", type: "symbol", source: "streets", minzoom: 14.5,
        layout: { "symbol-placement": "line", "text-field": ["get", "name"], "text-font": FONT, "text-size": 11, "symbol-spacing": 320 },
        paint: { "text-color": name, "text-halo-color": halo, "text-halo-width": 1.4 },
      },
      {
        id: "commune-names", type: "symbol", source: "communes", maxzoom: 14.5,
        layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": 12, "text-max-width": 8, "text-padding": 6 },
        paint: { "text-color": name, "text-halo-color": halo, "text-halo-width": 1.6 },
      },
    ],
  };
}

/** A flat map, north up: what a control room needs, and what keeps the points' arithmetic simple. */
export function makeMap(container, options = {}) {
  const map = new GlMap({
    container,
    style: style(),
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    maxPitch: 0,
    minZoom: 8,
    maxZoom: 19,
    attributionControl: false,
    renderWorldCopies: false,
    fadeDuration: 100,
    locale: {
      "NavigationControl.ZoomIn": _("Zoom in"),
      "NavigationControl.ZoomOut": _("Zoom out"),
      "Map.Title": _("Map"),
      "CooperativeGesturesHandler.WindowsHelpText": _("Hold Ctrl and scroll to zoom the map"),
      "CooperativeGesturesHandler.MacHelpText": _("Hold ⌘ and scroll to zoom the map"),
      "CooperativeGesturesHandler.MobileHelpText": _("Move the map with two fingers"),
    },
    ...options,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new AttributionControl({ compact: isNarrow(container), customAttribution: [asked.made_of, asked.attribution].filter(Boolean).map(escape) }), "bottom-right");
  map.addControl(new ScaleControl({ maxWidth: 100 }), "bottom-right");
  watchBaseMap(map);
  return map;
}

const isNarrow = (container) => document.getElementById(container).clientWidth < 640;
const escape = (text) => Object.assign(document.createElement("i"), { textContent: text }).innerHTML;

/** Says so while the base map's host gives nothing at all; a tile that it does not have is no trouble. */
function watchBaseMap(map) {
  if (asked.style === null) return;
  const note = Object.assign(document.createElement("p"), { className: "map-note", textContent: _("The base map does not answer."), hidden: day !== null });
  map.getContainer().append(note);
  let isSeen = false;
  map.on("sourcedata", ({ sourceId, tile }) => {
    if (!tile || OURS.includes(sourceId)) return;
    isSeen = note.hidden = true;
  });
  map.on("error", ({ error, sourceId }) => {
    console.warn("the base map", error);
    if (!OURS.includes(sourceId) && !isSeen) note.hidden = false;
  });
}

/** Paint the map in the present theme; `afterwards` puts back the layers that are not the map's own. */
export function repaint(map, afterwards) {
  map.setStyle(style(), { diff: false });
  map.once("style.load", afterwards);
}

/** [west, south, east, north] of all communes, or null. */
export async function cityBounds() {
  const collection = await (await fetch("/api/map/communes.geojson")).json();
  const bounds = [180, 90, -180, -90];
  const take = (coordinates) => {
    if (typeof coordinates[0] !== "number") return coordinates.forEach(take);
    const [lon, lat] = coordinates;
    bounds[0] = Math.min(bounds[0], lon); bounds[1] = Math.min(bounds[1], lat);
    bounds[2] = Math.max(bounds[2], lon); bounds[3] = Math.max(bounds[3], lat);
  };
  collection.features.forEach((feature) => take(feature.geometry.coordinates));
  return bounds[0] > bounds[2] ? null : bounds;
}
