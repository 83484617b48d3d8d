// Time: ranges in the URL (?range=1h or ?from=&to= in UTC milliseconds), steps of queries, ages and clocks in words.

import { language } from "./page.js";

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const DEFAULT = "1h";
const STEPS = [10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400].map((seconds) => seconds * 1000);
const MOST_POINTS = 1000;
export const SHORTEST_MS = 30_000;

function lengthOf(range) {
  const match = /^(\d{1,4})([mhd])$/.exec(range ?? "");
  return match && Number(match[1]) > 0 ? Number(match[1]) * UNITS[match[2]] : null;
}

// Reads a range: {from, to, live, range}; what makes no sense is the last hour.
export function readRange(search, now = Date.now()) {
  const query = new URLSearchParams(search);
  const from = Number(query.get("from"));
  const to = Number(query.get("to"));
  if (Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > 0 && to - from >= 1000) {
    return { from, to, live: false, range: null };
  }
  const range = lengthOf(query.get("range")) ? query.get("range") : DEFAULT;
  return { from: now - lengthOf(range), to: now, live: true, range };
}

export function writeRange(url, range) {
  const next = new URL(url);
  for (const name of ["from", "to", "range"]) next.searchParams.delete(name);
  if (range.range) next.searchParams.set("range", range.range);
  else {
    next.searchParams.set("from", Math.round(range.from));
    next.searchParams.set("to", Math.round(range.to));
  }
  return next;
}

// The finest round step that keeps a series within the points a graph can show.
export const stepFor = (range) =>
  STEPS.find((step) => (range.to - range.from) / step <= MOST_POINTS) ?? STEPS[STEPS.length - 1];

const clockFormat = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const shortFormat = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
export const clock = (ms) => clockFormat.format(ms);
export const span = (from, to) => clockFormat.formatRange(from, to);
const dayFormat = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
export const shortDay = (ms) => dayFormat.format(ms);
export const shortClock = (ms) => shortFormat.format(ms);

const relative = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
const AGES = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
];

export function age(ms, now = Date.now()) {
  const [size, unit] = AGES.find(([least]) => Math.abs(now - ms) >= least) ?? [1000, "second"];
  return relative.format(Math.round((ms - now) / size), unit);
}

// Keeps every <time data-ms> of the page relative, with the reader's own absolute time on hover.
export function refreshAges(root = document) {
  for (const element of root.querySelectorAll("time[data-ms]")) {
    const ms = Number(element.dataset.ms);
    const text = age(ms);
    if (element.textContent !== text) element.textContent = text;
    element.title = clock(ms);
  }
}
