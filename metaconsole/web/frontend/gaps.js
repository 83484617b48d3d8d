// Where data is missing, and why: holes found in the data joined with the gaps on record, drawn hatched.

import { texts } from "./page.js";

const HOLE_INTERVALS = 2.5;
const JOIN_MS = 1000;

// The usual distance between neighbouring instants (ms); the median is not moved by a few holes.
export function usualStep(times) {
  if (times.length < 3) return null;
  const distances = [];
  for (let i = 1; i < times.length; i++) distances.push(times[i] - times[i - 1]);
  return distances.sort((a, b) => a - b)[distances.length >> 1];
}

// Spans (ms) between start and end without an instant; step is the usual distance of instants.
export function holes(times, step, start, end) {
  const found = [];
  if (!step) return found;
  const longest = step * HOLE_INTERVALS;
  if (!times.length) return end - start > longest ? [{ from: start, to: end }] : [];
  if (times[0] - start > longest) found.push({ from: start, to: times[0] - step / 2 });
  for (let i = 1; i < times.length; i++) {
    if (times[i] - times[i - 1] > longest) found.push({ from: times[i - 1] + step / 2, to: times[i] - step / 2 });
  }
  const last = times[times.length - 1];
  if (end - last > longest) found.push({ from: last + step / 2, to: end });
  return found;
}

// Joins records that follow each other for one reason: a paused source records each cycle that it leaves out.
export function joined(recorded) {
  const found = [];
  for (const gap of [...recorded].sort((a, b) => a.from - b.from || a.to - b.to)) {
    const same = found.find((one) => one.reason === gap.reason && one.detail === gap.detail && one.source === gap.source
      && gap.from <= one.to + JOIN_MS);
    if (same) same.to = Math.max(same.to, gap.to);
    else found.push({ ...gap });
  }
  return found;
}

// The reason in the reader's language; a detail is the collector's own sentence, and maintenance needs none.
const wordOf = (gap) => {
  const word = texts.gaps[gap.reason] ?? gap.reason;
  return gap.detail && gap.reason !== "maintenance" ? `${word}: ${gap.detail}` : word;
};

// Gives each hole the reason of the record that covers most of it; told is the span that people are told.
export function explain(found, recorded) {
  return found.map((hole) => {
    let best = null;
    let most = 0;
    for (const gap of recorded) {
      const shared = Math.min(hole.to, gap.to) - Math.max(hole.from, gap.from);
      if (shared > most) [best, most] = [gap, shared];
    }
    if (!best) return { ...hole, told: hole, reason: "", text: texts.gaps.unrecorded };
    return { ...hole, told: best, reason: best.reason, text: wordOf(best) };
  });
}

let pattern = null;

function hatch(context, colour) {
  if (pattern?.colour === colour) return pattern.fill;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift, 8);
    pen.lineTo(shift + 8, 0);
  }
  pen.stroke();
  pattern = { colour, fill: context.createPattern(tile, "repeat") };
  return pattern.fill;
}

// Draws the gaps below the lines of a uPlot.
export function drawGaps(plot, gaps, colour) {
  const { ctx, bbox } = plot;
  const right = bbox.left + bbox.width;
  ctx.save();
  ctx.fillStyle = hatch(ctx, colour);
  for (const gap of gaps) {
    const from = Math.max(bbox.left, plot.valToPos(gap.from / 1000, "x", true));
    const to = Math.min(right, plot.valToPos(gap.to / 1000, "x", true));
    if (to > from) ctx.fillRect(from, bbox.top, Math.max(2, to - from), bbox.height);
  }
  ctx.restore();
}
