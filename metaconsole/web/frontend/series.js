// The data of one graph: its series on one axis of instants, holes between them, and what arrives live.

import uPlot from "uplot";

import { holes, usualStep } from "./gaps.js";

// A label that tells a series from its neighbours: the attributes in which they differ.
export function labels(series) {
  const names = [...new Set(series.flatMap((one) => Object.keys(one.attributes)))].sort();
  const telling = names.filter((name) => new Set(series.map((one) => one.attributes[name])).size > 1);
  return series.map((one) =>
    telling
      .map((name) => one.attributes[name])
      .filter((value) => value !== undefined && value !== "")
      .join(" · "),
  );
}

// Which series are parts of another one that is drawn too: one with the same attributes, but fewer of them, is their sum.
export function parts(series) {
  const sets = series.map((one) => Object.entries(one.attributes));
  const within = (few, many) => few.length < many.length && few.every(([name, value]) => Object.fromEntries(many)[name] === value);
  return sets.map((many) => sets.some((few) => within(few, many)));
}

const present = (one) => {
  const times = [];
  const values = [];
  for (let i = 0; i < one.times.length; i++) {
    if (one.values[i] === null) continue;
    times.push(one.times[i]);
    values.push(one.values[i]);
  }
  return [times, values];
};

export class SeriesData {
  // definitions: items of /resources/{id}/series; perSecond: draw the rate of a counter.
  constructor(definitions, perSecond) {
    this.definitions = definitions;
    this.perSecond = perSecond;
    this.columns = definitions.map(() => [[], []]);
    this.index = new Map(definitions.map((definition, i) => [definition.id, i]));
    this.raw = new Map();
    this.step = null;
  }

  // Takes the answer of a query; step is the query's (ms) or null for raw.
  fill(answer, step) {
    this.columns = this.definitions.map(() => [[], []]);
    for (const one of answer) {
      const at = this.index.get(one.id);
      if (at !== undefined) this.columns[at] = present(one);
    }
    const interval = Math.max(0, ...this.definitions.map((definition) => definition.interval_ms || 0));
    this.step = Math.max(step ?? 0, interval) || usualStep(this.columns[0]?.[0] ?? []);
  }

  // Takes a live sample; tells whether it belongs here and is news.
  append(id, times, values) {
    const at = this.index.get(id);
    if (at === undefined) return false;
    let news = false;
    for (let i = 0; i < times.length; i++) news = this.#one(at, id, times[i], values[i]) || news;
    return news;
  }

  #one(at, id, time, value) {
    if (value === null) return false;
    let shown = value;
    if (this.perSecond) {
      const before = this.raw.get(id);
      if (before && time <= before.time) return false;
      this.raw.set(id, { time, value });
      if (!before || value < before.value) return false;
      shown = ((value - before.value) * 1000) / (time - before.time);
    }
    const [columnTimes, columnValues] = this.columns[at];
    if (columnTimes.length && time <= columnTimes[columnTimes.length - 1]) return false;
    columnTimes.push(time);
    columnValues.push(shown);
    return true;
  }

  forgetBefore(time) {
    for (const [times, values] of this.columns) {
      const keep = times.findIndex((one) => one >= time);
      if (keep > 0) {
        times.splice(0, keep);
        values.splice(0, keep);
      }
    }
  }

  newest(at) {
    const [times, values] = this.columns[at];
    return times.length ? { time: times[times.length - 1], value: values[values.length - 1] } : null;
  }

  // The value nearest to an instant (ms), null where there is none within one and a half steps.
  valueAt(at, time) {
    const [times, values] = this.columns[at];
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1;
      else high = middle;
    }
    const nearer = low > 0 && (low === times.length || time - times[low - 1] <= times[low] - time) ? low - 1 : low;
    if (nearer >= times.length || Math.abs(times[nearer] - time) > (this.step ?? 0) * 1.5) return null;
    return values[nearer];
  }

  // Columns for uPlot (seconds), with a null inside each hole so that no line crosses it, and the spans (ms) in which
  // no series has a sample.
  aligned(range) {
    const start = Math.max(range.from, Math.min(...this.definitions.map((definition) => definition.first)));
    const tables = this.columns.map(([times, values]) => {
      const [xs, ys] = [times.slice(), values.slice()];
      for (const hole of holes(times, this.step, start, range.to).reverse()) {
        const at = times.findLastIndex((time) => time <= hole.from) + 1;
        xs.splice(at, 0, Math.round(hole.from));
        ys.splice(at, 0, null);
      }
      return [xs, ys];
    });
    // Without a sample an empty frame is drawn.
    const frame = [[range.from, range.to], ...this.columns.map(() => [null, null])];
    const joined = tables.some(([xs]) => xs.length) ? uPlot.join(tables) : frame;
    const seen = [...new Set(this.columns.flatMap(([times]) => times))].sort((a, b) => a - b);
    return { data: [joined[0].map((time) => time / 1000), ...joined.slice(1)], missing: holes(seen, this.step, start, range.to) };
  }
}
