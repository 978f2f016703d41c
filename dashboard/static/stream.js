// The live stream: server-sent events with a connection that comes back by itself, and the truth on how fresh all is.

const SILENCE_MS = 25_000; // the hub speaks at least every 10 s
const LATE_S = 10;
const PAUSES_MS = [1000, 2000, 5000, 10_000];

export class Stream extends EventTarget {
  #source = null;
  #failures = 0;
  #heardMs = performance.now();
  #frameMs = null; // when the last frame reached the hub, on this page's steady clock
  #status = null;
  #clock = null;

  constructor(url) {
    super();
    this.url = url;
    this.#connect();
    setInterval(() => this.#watch(), 1000);
  }

  /** Hub time now in microseconds since 1970; null before the first status. */
  get nowUs() {
    if (!this.#clock) return null;
    return this.#clock.us + (performance.now() - this.#clock.atMs) * 1000 * this.#clock.speed;
  }

  get #isLost() {
    return this.#source?.readyState !== EventSource.OPEN || performance.now() - this.#heardMs > SILENCE_MS;
  }

  /** {isLost, broker, database, ageS, isLate}: what the page may claim to know. */
  get freshness() {
    const ageS = this.#frameMs === null ? null : (performance.now() - this.#frameMs) / 1000;
    const { broker = true, database = true } = this.#status ?? {};
    const isWaiting = this.#status === null;
    return { isWaiting, isLost: this.#isLost, broker, database, ageS, isLate: ageS === null ? !isWaiting : ageS > LATE_S };
  }

  #connect() {
    // EventSource resends Last-Event-ID only on its own retries, so it is left alone unless it gave up.
    this.#source = new EventSource(this.url);
    this.#source.onopen = () => { this.#failures = 0; this.#heardMs = performance.now(); };
    this.#source.onerror = () => this.#lost();
    for (const name of ["picture", "incidents", "incident", "status"]) {
      this.#source.addEventListener(name, (event) => this.#heard(name, JSON.parse(event.data)));
    }
  }

  #lost() {
    if (this.#source.readyState !== EventSource.CLOSED) return;
    const pause = PAUSES_MS[Math.min(this.#failures++, PAUSES_MS.length - 1)];
    fetch("/api/kinds", { headers: { accept: "application/json" } }).then((answer) => {
      if (answer.status === 401) location.assign("/login");
    }, () => {});
    setTimeout(() => this.#connect(), pause);
  }

  #heard(name, data) {
    this.#heardMs = performance.now();
    if (name === "picture") this.#frameMs = performance.now();
    if (name === "status") {
      this.#status = data;
      this.#clock = { us: data.now_us, speed: data.speed, atMs: performance.now() };
      this.#frameMs = data.frame_age_s === null ? null : performance.now() - data.frame_age_s * 1000;
    }
    this.dispatchEvent(new CustomEvent(name, { detail: data }));
  }

  #watch() {
    if (this.#source.readyState === EventSource.OPEN && performance.now() - this.#heardMs > SILENCE_MS) {
      this.#source.close(); // a dead connection that nobody closed
      this.#connect();
    }
    this.dispatchEvent(new Event("tick"));
  }
}
