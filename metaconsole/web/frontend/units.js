// Numbers with their unit, scaled for people: 1.5 GiB, 12 Mbit/s, 43 %, 3.2 s. The one place that does it.

import { language } from "./page.js";

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL = ["", "k", "M", "G", "T", "P", "E"];
const SECONDS = [
  [1e-9, "ns"],
  [1e-6, "µs"],
  [1e-3, "ms"],
  [1, "s"],
  [60, "min"],
  [3600, "h"],
  [86400, "d"],
];

const formats = new Map();

function number(value, digits) {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: 0 }));
  }
  return formats.get(digits).format(value);
}

// Three significant digits as far as decimals go, whole numbers above a hundred.
const digitsFor = (magnitude) => (magnitude >= 100 || magnitude === 0 ? 0 : magnitude >= 10 ? 1 : magnitude >= 0.1 ? 2 : 3);

function prefixed(magnitude, base, prefixes, unit) {
  const power = magnitude < base ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log(magnitude) / Math.log(base)));
  return { factor: base ** power, suffix: prefixes[power] + unit };
}

// What a value is shown in: a network's bytes per second as bits, a share as per cent, CPU seconds per second too.
export function shownUnit(metric, unit, perSecond) {
  if (!perSecond) return { unit: unit === "1" && !/utilization|ratio/.test(metric) ? "" : unit, factor: 1 };
  if (unit === "s") return { unit: "1", factor: 1 };
  if (unit === "By") return /network/.test(metric) ? { unit: "bit/s", factor: 8 } : { unit: "By/s", factor: 1 };
  return { unit: "/s", factor: 1 };
}

// The scale for a magnitude: divide by factor, then write suffix behind.
export function scale(magnitude, unit) {
  switch (unit) {
    case "By":
      return prefixed(magnitude, 1024, BINARY, "B");
    case "By/s":
      return prefixed(magnitude, 1024, BINARY, "B/s");
    case "bit/s":
      return prefixed(magnitude, 1000, DECIMAL, "bit/s");
    case "Hz":
      return prefixed(magnitude, 1000, DECIMAL, "Hz");
    case "1":
    case "%":
      return { factor: unit === "1" ? 0.01 : 1, suffix: "%" };
    case "Cel":
      return { factor: 1, suffix: "°C" };
    case "s": {
      const found = SECONDS.findLast(([size]) => magnitude >= size) ?? SECONDS[magnitude === 0 ? 3 : 0];
      return { factor: found[0], suffix: found[1] };
    }
    case "/s":
      return prefixed(magnitude, 1000, DECIMAL, "/s");
    default:
      return prefixed(magnitude, 1000, DECIMAL, unit.startsWith("{") ? "" : unit);
  }
}

export function format(value, unit, scaled = scale(Math.abs(value), unit)) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const amount = value / scaled.factor;
  const text = number(amount, digitsFor(Math.abs(amount)));
  return scaled.suffix ? `${text}\u00a0${scaled.suffix}` : text;
}

const POWERS_OF_TWO = Array.from({ length: 62 }, (_, power) => 2 ** power);
const ROUND_TIMES = [
  ...Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** (power - 9))).flat(),
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3600),
  ...Array.from({ length: 4 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power * 86400)).flat(),
];
const INCREMENTS = { By: POWERS_OF_TWO, "By/s": POWERS_OF_TWO, s: ROUND_TIMES };

// Steps between axis marks, where powers of ten would not give round marks: GiB and hours.
export const increments = (unit) => INCREMENTS[unit];
