// One graph: the series of one metric of one resource as a uPlot, with legend, gaps, and the same as a table.

import uPlot from "uplot";

import { drawGaps, explain } from "./gaps.js";
import { fill, make, texts } from "./page.js";
import { labels, parts, SeriesData } from "./series.js";
import { colour, onThemeChange } from "./theme.js";
import { clock, shortClock, shortDay } from "./time.js";
import { format, increments, scale, shownUnit } from "./units.js";

const HEIGHT = 168;
const COLOURS = 8;
const DASHES = [[], [6, 3], [2, 3]];
const TABLE_ROWS = 200;
const FONT = '11px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
export const MOST_SERIES = 48;

const colourOf = (at) => `--series-${(at % COLOURS) + 1}`;
const dashOf = (at) => DASHES[Math.floor(at / COLOURS) % DASHES.length];

export class Graph {
  // metric: an item of the catalogue; definitions: its series; events: {zoom(from, to), reset()}.
  constructor(metric, definitions, events) {
    this.metric = metric;
    this.perSecond = metric.kind === "counter";
    this.shown = shownUnit(metric.name, metric.unit, this.perSecond);
    const part = parts(definitions);
    const sumsFirst = definitions.map((one, at) => [part[at], one]).sort(([a], [b]) => a - b);
    this.definitions = sumsFirst.slice(0, MOST_SERIES).map(([, one]) => one);
    this.hidden = sumsFirst.slice(0, MOST_SERIES).map(([isPart]) => isPart);
    this.labels = labels(this.definitions).map((label) => label || (part.some(Boolean) ? texts.total : texts.value));
    this.data = new SeriesData(this.definitions, this.perSecond);
    this.events = events;
    this.gaps = [];
    this.range = { from: 0, to: 1 };
    this.plot = null;
    this.element = this.#frame(definitions.length);
    onThemeChange(() => this.plot?.redraw(false));
  }

  get wants() {
    return { metric: this.metric.name, aggregate: this.perSecond ? "rate" : this.metric.kind === "state" ? "last" : "avg" };
  }

  text(value) {
    if (value === null || value === undefined) return "–";
    return this.#code(value) ?? format(value * this.shown.factor, this.shown.unit);
  }

  // The word for a value of a state, in the reader's language.
  #code(value) {
    const code = this.metric.codes?.[value];
    return texts.states[code] ?? code;
  }

  #frame(total) {
    const id = `graph-${this.metric.name.replaceAll(".", "-")}`;
    this.canvas = make("div", { class: "plot", "aria-hidden": "true" });
    this.note = make("p", { class: "gap-note", hidden: true });
    this.message = make("p", { class: "graph-message", text: texts.loading });
    this.legend = this.#legend();
    this.table = make("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": texts.table });
    this.details = make("details", { class: "graph-table", ontoggle: () => this.#fillTable() },
      make("summary", { text: texts.table }), this.table);
    const children = [
      make("header", {}, make("h3", { id, text: this.metric.name }), make("p", { text: this.metric.title, title: this.metric.title })),
      make("div", { class: "plot-frame" }, this.canvas, this.message, this.note),
      this.legend,
    ];
    if (total > MOST_SERIES) {
      children.push(make("p", { class: "note", text: fill(texts.first_series, { shown: MOST_SERIES, total }) }));
    }
    return make("section", { class: "graph", "aria-labelledby": id, "data-metric": this.metric.name, "data-state": "loading" },
      ...children, this.details);
  }

  #legend() {
    this.cells = [];
    const rows = this.definitions.map((definition, at) => {
      const newest = make("td", { class: "newest" });
      const cursor = make("td", { class: "at-cursor" });
      this.cells.push({ newest, cursor });
      const toggle = make("button", {
        type: "button", class: "series-name", "aria-pressed": String(!this.hidden[at]), "data-series": definition.id,
        onclick: (event) => this.#toggle(at, event.currentTarget),
      }, make("span", { class: `swatch swatch-${(at % COLOURS) + 1} dash-${Math.floor(at / COLOURS) % DASHES.length}` }),
      make("span", { text: this.labels[at] }));
      return make("tr", {}, make("th", { scope: "row" }, toggle), newest, cursor);
    });
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col", text: texts.series }),
      make("th", { scope: "col", text: texts.newest }), make("th", { scope: "col", text: texts.at_cursor })));
    return make("div", { class: rows.length > 1 ? "legend" : "legend single" }, make("table", {}, head, make("tbody", {}, ...rows)));
  }

  #toggle(at, button) {
    const show = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(show));
    this.hidden[at] = !show;
    this.plot?.setSeries(at + 1, { show });
  }

  // Draws an answer of POST /api/v1/query over the range; recorded: the gaps on record.
  show(answer, step, range, recorded) {
    this.data.fill(answer, step);
    this.recorded = recorded;
    this.#draw(range);
  }

  fail(message) {
    this.element.dataset.state = "failed";
    this.message.textContent = message;
    this.message.hidden = false;
  }

  append(id, times, values) {
    return this.data.append(id, times, values);
  }

  // Moves the window; for a range that ends now, and after live samples.
  follow(range, recorded) {
    if (this.element.dataset.state === "loading") return;
    this.recorded = recorded;
    this.data.forgetBefore(range.from - (range.to - range.from) * 0.05);
    this.#draw(range);
  }

  #draw(range) {
    this.range = range;
    const { data, missing } = this.data.aligned(range);
    this.gaps = explain(missing, this.recorded ?? []);
    const empty = this.data.columns.every(([times]) => !times.length);
    this.message.hidden = !empty;
    this.message.textContent = empty ? texts.no_samples : "";
    this.element.dataset.state = empty ? "empty" : "drawn";
    this.element.dataset.gaps = this.gaps.map((gap) => gap.reason || "unrecorded").join(" ");
    this.#fillLegend();
    if (this.details.open) this.#fillTable();
    if (!this.plot) this.#createPlot(data);
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.plot.setScale("x", { min: range.from / 1000, max: range.to / 1000 });
    });
  }

  #createPlot(data) {
    this.plot = new uPlot(this.#options(), data, this.canvas);
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
    }).observe(this.canvas);
  }

  #options() {
    const steps = increments(this.shown.unit);
    const axis = { stroke: () => colour("--muted"), font: FONT, ticks: { show: false }, grid: { stroke: () => colour("--grid"), width: 1 } };
    return {
      width: Math.max(200, Math.floor(this.canvas.clientWidth)),
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 20, 0, 0],
      scales: { x: { time: true }, y: { range: (_, min, max) => this.#valueRange(min, max) } },
      axes: [
        { ...axis, space: 64, size: 28, values: (_, splits) => this.#timeMarks(splits) },
        { ...axis, size: 64, space: 32, values: (_, splits) => this.#valueMarks(splits), ...(steps ? { incrs: steps } : {}) },
      ],
      series: [{}, ...this.definitions.map((_, at) => ({
        show: !this.hidden[at], stroke: () => colour(colourOf(at)), width: 1.5, dash: dashOf(at), spanGaps: false, points: { show: false },
        paths: this.metric.kind === "state" ? uPlot.paths.stepped({ align: 1 }) : undefined,
      }))],
      cursor: {
        // The cursor is shared; a drag is not, else every graph would zoom once for it.
        sync: { key: "nephoscope", setSeries: false, scales: ["x", null],
          filters: { pub: (type) => ["mousemove", "mouseleave", "mouseenter"].includes(type) } },
        drag: { x: true, y: false, setScale: false },
        points: { size: 6 },
        bind: { dblclick: () => () => (this.events.reset(), null) },
      },
      hooks: {
        drawClear: [(plot) => drawGaps(plot, this.gaps, colour("--hatch"))],
        setSelect: [(plot) => this.#selected(plot)],
        setCursor: [(plot) => this.#cursor(plot)],
      },
    };
  }

  // The values' range in the unit that they are drawn in: from zero where nothing is below it.
  #valueRange(min, max) {
    if (min === null || max === null) return [0, 1];
    if (this.metric.kind === "state") return [Math.min(0, min) - 0.5, max + 0.5];
    if (this.shown.unit === "1" && min >= 0 && max <= 1) return [0, Math.min(1, Math.max(0.05, max * 1.08))];
    if (min >= 0 && this.shown.unit !== "Cel") return [0, max * 1.08 || 1];
    const space = (max - min || Math.abs(max) || 1) * 0.1;
    return [min - space, max + space];
  }

  #valueMarks(splits) {
    if (this.metric.kind === "state") return splits.map((value) => this.#code(value) ?? "");
    const drawn = splits.map((value) => value * this.shown.factor);
    const scaled = scale(Math.max(...drawn.map(Math.abs)), this.shown.unit);
    return drawn.map((value) => (value === 0 ? "0" : format(value, this.shown.unit, scaled)));
  }

  #timeMarks(splits) {
    const day = this.range.to - this.range.from > 36 * 3_600_000;
    return splits.map((seconds) => {
      const at = new Date(seconds * 1000);
      const midnight = at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0;
      if (midnight) return shortDay(at);
      if (day) return `${shortDay(at)} ${shortClock(at).slice(0, 5)}`;
      return at.getSeconds() ? shortClock(at) : shortClock(at).slice(0, 5);
    });
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const [from, to] = [left, left + width].map((x) => Math.round(plot.posToVal(x, "x") * 1000));
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.events.zoom(from, to);
  }

  #cursor(plot) {
    const { left } = plot.cursor;
    const time = left >= 0 ? plot.posToVal(left, "x") * 1000 : null;
    this.cells.forEach(({ cursor }, at) => {
      cursor.textContent = time === null ? "" : this.text(this.data.valueAt(at, time));
    });
    const gap = time === null ? null : this.gaps.find((one) => one.from <= time && time <= one.to);
    this.note.hidden = !gap;
    if (gap) this.note.textContent = `${fill(texts.not_seen, { from: shortClock(gap.told.from), to: shortClock(gap.told.to) })} · ${gap.text}`;
  }

  #fillLegend() {
    const late = (this.data.step ?? 0) * 2.5;
    this.cells.forEach(({ newest }, at) => {
      const found = this.data.newest(at);
      newest.textContent = found ? this.text(found.value) : "–";
      newest.title = found ? clock(found.time) : "";
      newest.classList.toggle("stale", Boolean(found && this.range.live && this.range.to - found.time > late));
      if (!found) return;
      newest.dataset.value = found.value;
      newest.dataset.time = found.time;
    });
  }

  // The same as the picture: the newest instants first, and the gaps with their reasons.
  #fillTable() {
    if (!this.details.open) return;
    const times = [...new Set(this.data.columns.flatMap(([all]) => all))].sort((a, b) => b - a);
    const instant = (ms) => new Date(ms).toISOString();
    const head = [make("th", { scope: "col", text: texts.time }),
      ...this.labels.map((label) => make("th", { scope: "col", text: label }))];
    const rows = times.slice(0, TABLE_ROWS).map((time) => make("tr", {},
      make("th", { scope: "row" }, make("time", { datetime: instant(time), text: clock(time) })),
      ...this.labels.map((_, at) => make("td", { text: this.text(this.data.valueAt(at, time)) }))));
    const caption = times.length > TABLE_ROWS ? fill(texts.first_rows, { shown: TABLE_ROWS, total: times.length }) : this.metric.title;
    const table = make("table", {}, make("caption", { text: caption }), make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...rows));
    const gaps = this.gaps.map((gap) => make("li", {
      text: `${fill(texts.not_seen, { from: clock(gap.told.from), to: clock(gap.told.to) })} · ${gap.text}`, "data-reason": gap.reason }));
    this.table.replaceChildren(make("ul", { class: "gap-list" }, ...gaps), table);
  }
}
