// Every device as a point, drawn by one call: places and states go to the graphics card as they are, and a counting
// sort puts the worst on top. A change of states uploads one byte a device; nothing is tiled, nothing is parsed.

import { MercatorCoordinate } from "./vendor/maplibre-gl.mjs";
import { rgb } from "./colours.js";

const SYMBOLS = ["dot", "square", "diamond", "triangle", "arrow"];
const STATES = 7;
const TILE_PX = 512;

// Size in pixels at zoom 10 and 17 by state: what is well is small, what calls is large.
const SIZES = [[1, 6], [1, 6], [1.2, 8], [2.6, 10], [4.5, 13], [11, 18], [16, 26]];
const TYPE_SCALE = { dot: 1, square: 1.35, diamond: 1.6, triangle: 1.6, arrow: 2 };

const VERTEX = `#version 300 es
uniform vec2 u_scale, u_offset;   // pixels per unit, pixels
uniform vec2 u_half;              // half the canvas, pixels
uniform float u_ratio, u_sizes[${STATES}], u_scales[${SYMBOLS.length}];
uniform vec3 u_colours[${STATES}];
in vec2 a_place;
in uint a_state, a_symbol;
flat out uint v_state, v_symbol;
flat out float v_size;
flat out vec3 v_colour;
void main() {
  v_state = a_state;
  v_symbol = a_symbol;
  v_colour = u_colours[a_state];
  v_size = u_sizes[a_state] * u_scales[a_symbol] * u_ratio + 2.0;
  vec2 pixels = a_place * u_scale + u_offset;
  gl_Position = vec4(pixels.x / u_half.x, -pixels.y / u_half.y, 0.0, 1.0);
  gl_PointSize = v_size;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
uniform vec3 u_outline;
uniform float u_calm;   // how strongly what is well is painted
flat in uint v_state, v_symbol;
flat in float v_size;
flat in vec3 v_colour;
out vec4 colour;

float edge(vec2 p, uint symbol) {  // about 0 in the middle, 1 on the edge
  vec2 a = abs(p);
  if (symbol == 1u) return max(a.x, a.y) * 1.15;
  if (symbol == 2u) return a.x + a.y;
  if (symbol == 3u || symbol == 4u) return max(p.y * 1.25, a.x * 1.5 - p.y * 0.75) + 0.22;
  return length(p);
}

void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float r = edge(p, v_symbol), soft = 2.2 / v_size;
  float inside = 1.0 - smoothstep(1.0 - soft, 1.0, r);
  if (inside <= 0.0) discard;
  bool hollow = v_state == 0u || v_state == 3u;           // not heard yet, silent: a ring
  bool urgent = v_state == 6u;                            // fault now: a ring around a core
  float alpha = v_state < 3u ? u_calm : 1.0;
  vec3 body = v_colour;
  float ring = v_size > 7.0 ? smoothstep(0.52 - soft, 0.52, r) : 1.0;
  if (hollow) alpha *= ring;
  if (urgent) alpha *= r < 0.5 ? 1.0 : smoothstep(0.66, 0.74, r);
  if (v_state >= 4u && !urgent) body = mix(v_colour, u_outline, smoothstep(0.72, 0.8, r));
  colour = vec4(body, 1.0) * inside * alpha;
}`;

/** MapLibre custom layer of the pictures that are switched on. */
export class PointsLayer {
  id = "devices";
  type = "custom";
  renderingMode = "2d";
  #pictures;
  #shown = new Set();
  #uploaded = "";
  #order = new Uint32Array(0);
  #count = 0;
  #place = new Float32Array(0);
  #rows = []; // [picture, first row]
  #state = new Uint8Array(0);
  #symbol = new Uint8Array(0);
  #isStale = true;
  #colours = null;

  constructor(pictures, origin) {
    this.#pictures = pictures;
    this.origin = MercatorCoordinate.fromLngLat(origin);
    for (const picture of pictures) this.#shown.add(picture.kind.name);
  }

  onAdd(map, gl) {
    this.map = map;
    this.gl = gl;
    this.#uploaded = "";
    this.#isStale = true;
    this.#program = link(gl, VERTEX, FRAGMENT);
    this.#uniforms = Object.fromEntries(["u_scale", "u_offset", "u_half", "u_ratio", "u_sizes", "u_scales", "u_colours", "u_outline", "u_calm"]
      .map((name) => [name, gl.getUniformLocation(this.#program, name)]));
    this.#buffers = { place: gl.createBuffer(), state: gl.createBuffer(), symbol: gl.createBuffer(), order: gl.createBuffer() };
    this.#array = gl.createVertexArray();
    gl.bindVertexArray(this.#array);
    const attribute = (name, buffer, size, type) => {
      const at = gl.getAttribLocation(this.#program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(at);
      if (type === gl.FLOAT) gl.vertexAttribPointer(at, size, type, false, 0, 0);
      else gl.vertexAttribIPointer(at, size, type, 0, 0);
    };
    attribute("a_place", this.#buffers.place, 2, gl.FLOAT);
    attribute("a_state", this.#buffers.state, 1, gl.UNSIGNED_BYTE);
    attribute("a_symbol", this.#buffers.symbol, 1, gl.UNSIGNED_BYTE);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.#buffers.order);
    gl.bindVertexArray(null);
    this.recolour();
  }

  #program;
  #uniforms;
  #buffers;
  #array;

  recolour() {
    this.#colours = new Float32Array(Array.from({ length: STATES }, (_unused, state) => rgb(`--state-${state}`)).flat());
    this.outline = rgb("--map-outline");
    this.map?.triggerRepaint();
  }

  show(kindName, isShown) {
    if (isShown) this.#shown.add(kindName);
    else this.#shown.delete(kindName);
    this.changed();
  }

  /** States or places changed: draw them with the next frame. */
  changed() {
    this.#isStale = true;
    this.map?.triggerRepaint();
  }

  render(gl) {
    gl.bindVertexArray(this.#array);
    if (this.#isStale) this.#upload(gl);
    const view = this.#view();
    const { width, height } = this.map.getCanvas();
    const u = this.#uniforms;
    gl.useProgram(this.#program);
    gl.uniform2f(u.u_scale, view.scale, view.scale);
    gl.uniform2f(u.u_offset, view.x, view.y);
    gl.uniform2f(u.u_half, width / 2, height / 2);
    gl.uniform1f(u.u_ratio, view.ratio);
    gl.uniform1fv(u.u_sizes, sizes(this.map.getZoom()));
    gl.uniform1fv(u.u_scales, SYMBOLS.map((symbol) => TYPE_SCALE[symbol]));
    gl.uniform3fv(u.u_colours, this.#colours);
    gl.uniform3fv(u.u_outline, this.outline);
    gl.uniform1f(u.u_calm, calm(this.map.getZoom()));
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawElements(gl.POINTS, this.#count, gl.UNSIGNED_INT, 0);
    gl.bindVertexArray(null);
  }

  /** The device under a point of the map (CSS pixels), the worst first; null when there is none near. */
  find({ x, y }) {
    const view = this.#view();
    const { width, height } = this.map.getCanvas();
    const ratio = view.ratio;
    const wantX = x * ratio - width / 2 - view.x, wantY = y * ratio - height / 2 - view.y;
    const size = sizes(this.map.getZoom());
    const scales = SYMBOLS.map((symbol) => TYPE_SCALE[symbol]);
    const farthest = (Math.max(...size) * Math.max(...scales) / 2 + 4) * ratio;
    const order = this.#order, place = this.#place, scale = view.scale;
    for (let k = this.#count - 1; k >= 0; k--) {
      const row = order[k];
      const dx = place[2 * row] * scale - wantX;
      if (dx > farthest || dx < -farthest) continue;
      const dy = place[2 * row + 1] * scale - wantY;
      const reach = (size[this.#state[row]] * scales[this.#symbol[row]] / 2 + 4) * ratio;
      if (dx * dx + dy * dy <= reach * reach) {
        const [picture, first] = this.#rows.findLast(([, start]) => start <= row);
        return picture.deviceNo[row - first];
      }
    }
    return null;
  }

  // Pixels of the canvas from its middle, of a place relative to the origin: in double precision, so that
  // single precision is enough on the card.
  #view() {
    const { width } = this.map.getCanvas();
    const ratio = width / this.map.getCanvas().clientWidth;
    const scale = TILE_PX * 2 ** this.map.getZoom() * ratio;
    const centre = MercatorCoordinate.fromLngLat(this.map.getCenter());
    return { scale, ratio, x: (this.origin.x - centre.x) * scale, y: (this.origin.y - centre.y) * scale };
  }

  #upload(gl) {
    this.#isStale = false;
    const layout = this.#pictures.map((picture) => `${picture.kind.name}:${picture.revision}`).join();
    if (layout !== this.#uploaded) {
      this.#uploaded = layout;
      this.#layOut(gl);
    }
    for (const [picture, first] of this.#rows) this.#state.set(picture.state, first);
    this.#sort();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffers.state);
    gl.bufferData(gl.ARRAY_BUFFER, this.#state, gl.DYNAMIC_DRAW);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.#buffers.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.#order.subarray(0, this.#count), gl.DYNAMIC_DRAW);
  }

  #layOut(gl) {
    const total = this.#pictures.reduce((sum, picture) => sum + picture.deviceNo.length, 0);
    this.#place = new Float32Array(2 * total);
    this.#symbol = new Uint8Array(total);
    this.#state = new Uint8Array(total);
    this.#order = new Uint32Array(total);
    this.#rows = [];
    let row = 0;
    for (const picture of this.#pictures) {
      this.#rows.push([picture, row]);
      const symbols = picture.kind.types.map((type) => SYMBOLS.indexOf(type.symbol));
      for (let i = 0; i < picture.deviceNo.length; i++, row++) {
        this.#place[2 * row] = mercatorX(picture.lon[i]) - this.origin.x;
        this.#place[2 * row + 1] = mercatorY(picture.lat[i]) - this.origin.y;
        this.#symbol[row] = Math.max(0, symbols[picture.type[i]] ?? 0);
      }
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffers.place);
    gl.bufferData(gl.ARRAY_BUFFER, this.#place, gl.DYNAMIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffers.symbol);
    gl.bufferData(gl.ARRAY_BUFFER, this.#symbol, gl.DYNAMIC_DRAW);
  }

  // Counting sort of the shown rows that have a place, by state: the worst is drawn last.
  #sort() {
    const starts = new Uint32Array(STATES + 1);
    const shown = this.#rows.filter(([picture]) => this.#shown.has(picture.kind.name));
    const place = this.#place, states = this.#state, order = this.#order;
    const each = (take) => {
      for (const [picture, first] of shown) {
        for (let row = first; row < first + picture.deviceNo.length; row++) {
          if (!Number.isNaN(place[2 * row])) take(row);
        }
      }
    };
    each((row) => starts[states[row] + 1]++);
    for (let state = 0; state < STATES; state++) starts[state + 1] += starts[state];
    this.#count = starts[STATES];
    each((row) => { order[starts[states[row]]++] = row; });
  }
}

const mercatorX = (lon) => (180 + lon) / 360;
const mercatorY = (lat) => (180 - (180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360))) / 360;

const near = (zoom) => Math.min(1, Math.max(0, (zoom - 10) / 7));

// From afar 67,000 healthy points are a faint texture, and what calls stands out.
const calm = (zoom) => 0.5 + 0.45 * near(zoom);

function sizes(zoom) {
  const share = near(zoom) ** 1.5;
  return SIZES.map(([far, close]) => far + (close - far) * share);
}

function link(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}
