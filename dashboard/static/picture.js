// What every device shows now: columns per kind, filled by the device list and by the stream.

export const ABSENT = 255;
export const UNKNOWN = 0;
const TO_COMMISSION = 128;

const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const bytesOf = (text) => (Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : decode(text));
const floatsOf = (text) => (text ? new Float32Array(bytesOf(text).buffer) : null);

/** One kind's devices; arrays of equal length, in the order of the device list. */
export class KindPicture {
  deviceNo = new Int32Array(0);
  lon = new Float32Array(0);
  lat = new Float32Array(0);
  type = new Uint8Array(0);
  toCommission = new Uint8Array(0);
  state = new Uint8Array(0);
  revision = 0; // of the places: rises when devices come, go or move
  #rows = new Map(); // device number -> row
  #strays = new Map(); // device number -> [state, lon, lat] of devices that the list does not hold yet

  constructor(kind) {
    this.kind = kind;
  }

  /** Read the device list (again); what is known of states and positions stays. */
  async load() {
    const answer = await fetch(`/api/kinds/${this.kind.name}/devices`);
    if (!answer.ok) throw new Error(`device list of ${this.kind.name}: ${answer.status}`);
    const buffer = await answer.arrayBuffer();
    const n = buffer.byteLength / 13;
    const { deviceNo, state, lon, lat } = this;
    deviceNo.forEach((no, row) => this.#strays.set(no, [state[row], lon[row], lat[row]]));
    const types = new Uint8Array(buffer, 12 * n, n);
    this.deviceNo = new Int32Array(buffer, 0, n);
    this.lon = new Float32Array(buffer, 4 * n, n);
    this.lat = new Float32Array(buffer, 8 * n, n);
    this.type = types.map((type) => type & ~TO_COMMISSION);
    this.toCommission = types.map((type) => type >> 7);
    this.state = new Uint8Array(n);
    this.#rows = new Map();
    this.deviceNo.forEach((no, row) => {
      this.#rows.set(no, row);
      const known = this.#strays.get(no);
      if (!known) return;
      this.state[row] = known[0];
      if (this.kind.mobile) [, this.lon[row], this.lat[row]] = known;
    });
    this.#strays.clear();
    this.revision++;
  }

  /** Take a change in; false when it names devices that the list does not hold yet. */
  apply(change) {
    const numbers = new Int32Array(bytesOf(change.device_no).buffer);
    const states = bytesOf(change.state);
    const [lons, lats] = [floatsOf(change.lon), floatsOf(change.lat)];
    if (change.full) {
      this.state.fill(UNKNOWN);
      this.#strays.clear();
    }
    for (let k = 0; k < numbers.length; k++) {
      const row = this.#rows.get(numbers[k]);
      const state = states[k] === ABSENT ? UNKNOWN : states[k];
      if (row === undefined) {
        if (states[k] !== ABSENT) this.#strays.set(numbers[k], [state, lons?.[k] ?? NaN, lats?.[k] ?? NaN]);
        continue;
      }
      this.state[row] = state;
      if (lats) [this.lon[row], this.lat[row]] = [lons[k], lats[k]];
    }
    if (lats) this.revision++;
    return this.#strays.size === 0;
  }

  /** Where a device is, or null. */
  place(deviceNo) {
    const row = this.#rows.get(deviceNo);
    return row === undefined || Number.isNaN(this.lat[row]) ? null : [this.lon[row], this.lat[row]];
  }

  /** Devices by state (0 to 6), and those to commission apart. */
  counts() {
    const byState = new Uint32Array(7);
    let toCommission = 0;
    for (let i = 0; i < this.state.length; i++) {
      if (this.toCommission[i]) toCommission++;
      else byState[this.state[i]]++;
    }
    return { byState, toCommission, total: this.state.length - toCommission };
  }
}
