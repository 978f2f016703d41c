// The city's own map under the devices: communes and streets from the hub, names drawn with the machine's fonts.

import { Map as GlMap, NavigationControl, ScaleControl } from "./vendor/maplibre-gl.mjs";
import { colour } from "./colours.js";
import { _ } from "./texts.js";

const FONT = ["Noto Sans, DejaVu Sans, Arial, sans-serif"];

function style() {
  const ground = colour("--map-ground"), land = colour("--map-land"), edge = colour("--map-edge");
  const street = colour("--map-street"), name = colour("--map-name"), halo = colour("--map-ground");
  const width = (...stops) => ["interpolate", ["exponential", 1.6], ["zoom"], ...stops];
  const byRank = (...widths) => ["match", ["get", "rank"], 0, widths[0], 1, widths[1], 2, widths[2], widths[3]];
  return {
    version: 8,
    sources: {
      communes: { type: "geojson", data: "/api/map/communes.geojson" },
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
      { id: "edges", type: "line", source: "communes", paint: { "line-color": edge, "line-width": 1, "line-dasharray": [3, 2] } },
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
  map.addControl(new ScaleControl({ maxWidth: 100 }), "bottom-right");
  return map;
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
