// Texts, numbers and times in the page's language; translations come with the page, by their English text.

const root = document.documentElement;
const translations = JSON.parse(document.getElementById("texts").textContent);

export const language = root.lang;
const locale = language === "en" ? "en-GB" : language;
const timeZone = root.dataset.timezone;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export function _(text, values = {}) {
  return fill(translations[text] ?? text, values);
}

export function ngettext(one, many, n, values = {}) {
  const [single, plural] = translations[one] ?? [one, many];
  const isSingle = language === "fr" ? n < 2 : n === 1;
  return fill(isSingle ? single : plural, { n: number(n), ...values });
}

const numbers = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
export const number = (value) => numbers.format(value);

const clockTimes = new Intl.DateTimeFormat(locale, { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const clockTime = (us) => clockTimes.format(us / 1000);

const dayTimes = new Intl.DateTimeFormat(locale, { timeZone, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const days = new Intl.DateTimeFormat(locale, { timeZone, day: "numeric", month: "short" });
const times = new Intl.DateTimeFormat(locale, { timeZone, hour: "2-digit", minute: "2-digit" });

/** Time of day of something less than a day ago, with its day when it is older. */
export const since = (us, nowUs) => (nowUs - us < 86_400e6 ? times : dayTimes).format(us / 1000);
export const timeOfDay = (s) => times.format(s * 1000);
export const day = (s) => days.format(s * 1000);
export const dayAndTime = (s) => dayTimes.format(s * 1000);

/** How long, in its largest unit: 43 min, 2 h, 3 d. */
export function duration(us) {
  const minutes = Math.max(0, Math.floor(us / 60e6));
  if (minutes < 60) return `${number(minutes)} min`;
  if (minutes < 48 * 60) return `${number(Math.floor(minutes / 60))} h`;
  return _("{n} d", { n: number(Math.floor(minutes / 1440)) });
}
