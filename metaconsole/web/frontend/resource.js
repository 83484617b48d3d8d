// The resource page: graphs of the resource's series, loaded as they come into view, live while the range ends now.

import { get, list, post } from "./api.js";
import { explain, joined } from "./gaps.js";
import { Graph } from "./graph.js";
import { liveSamples } from "./live.js";
import { announce, fill, language, make, texts } from "./page.js";
import { clock, readRange, shortClock, SHORTEST_MS, stepFor, writeRange } from "./time.js";

const REDRAW_MS = 1000;
const GATHER_MS = 40;
const RELOAD_MS = 300_000;
const POLL_MS = 15_000;
const GAPS_MS = 5000;

// How full or busy things are comes first, states, which seldom change, last; between them the catalogue's order by
// subject (the second word of a name), gauges before counters.
function ordered(known, metrics) {
  const place = new Map([...metrics.keys()].map((name, at) => [name, at]));
  const subject = (metric) => metric.name.split(".").slice(0, 2).join(".");
  const first = new Map();
  for (const [name, at] of place) if (!first.has(subject({ name }))) first.set(subject({ name }), at);
  const rank = (metric) => [
    metric.kind === "state" ? 2 : /utilization$/.test(metric.name) ? 0 : 1,
    first.get(subject(metric)) ?? place.size,
    metric.kind === "counter" ? 1 : 0,
    place.get(metric.name) ?? place.size,
  ];
  return known
    .map((metric) => [rank(metric), metric])
    .sort(([a], [b]) => compare(a, b))
    .map(([, metric]) => metric);
}

function compare(a, b) {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : a[at] - b[at];
}

export class ResourcePage {
  constructor(root) {
    this.root = root;
    this.id = root.dataset.resource;
    this.graphs = new Map();
    this.bySeries = new Map();
    this.visible = new Set();
    this.loaded = new Map();
    this.gaps = [];
    this.range = readRange(location.search);
    this.lamp = document.getElementById("lamp");
    this.stream = liveSamples(this.id, (samples) => this.#samples(samples), (state) => this.#lamp(state));
  }

  async start() {
    const [series, metrics] = await Promise.all([
      list(`/api/v1/resources/${encodeURIComponent(this.id)}/series?limit=500`),
      list("/api/v1/metrics-catalogue"),
      this.#loadGaps(),
    ]);
    this.#build(series, new Map(metrics.map((metric) => [metric.name, metric])));
    this.#controls();
    this.#setRange(this.range, "keep");
    setInterval(() => this.#tick(), REDRAW_MS);
    setInterval(() => this.range.live && this.#reload(), RELOAD_MS);
    setInterval(() => this.range.live && this.lamp.dataset.lamp === "stale" && this.#reload(), POLL_MS);
    setInterval(() => this.range.live && !document.hidden && this.#loadGaps(), GAPS_MS);
    document.addEventListener("visibilitychange", () => this.#visibility());
  }

  #build(series, metrics) {
    const byMetric = groupBy(series, (one) => one.metric);
    const known = [...byMetric.keys()].map((name) => {
      const metric = metrics.get(name) ?? { name, unit: byMetric.get(name)[0].unit, kind: byMetric.get(name)[0].kind };
      const description = (language === "es" && metric.description_es) || metric.description || name;
      return { ...metric, title: description };
    });
    const events = { zoom: (from, to) => this.#zoom(from, to), reset: () => this.#reset() };
    const observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "200px" });
    const grid = this.root.querySelector("#graph-grid");
    grid.replaceChildren();
    for (const metric of ordered(known, metrics)) {
      const graph = new Graph(metric, byMetric.get(metric.name), events);
      this.graphs.set(graph.element, graph);
      for (const definition of graph.definitions) this.bySeries.set(definition.id, graph);
      grid.append(graph.element);
      observer.observe(graph.element);
    }
    if (!known.length) grid.append(make("p", { class: "empty", text: texts.no_series }));
  }

  #controls() {
    const move = (share) => () => {
      const shift = (this.range.to - this.range.from) * share;
      this.#setRange({ from: this.range.from + shift, to: this.range.to + shift, live: false, range: null }, "push");
    };
    const grow = (factor) => () => {
      const middle = (this.range.from + this.range.to) / 2;
      const half = Math.max(SHORTEST_MS, (this.range.to - this.range.from) * factor) / 2;
      this.#zoom(middle - half, Math.min(Date.now(), middle + half));
    };
    const actions = { earlier: move(-0.5), later: move(0.5), "zoom-in": grow(0.5), "zoom-out": grow(2), reset: () => this.#reset() };
    for (const [name, act] of Object.entries(actions)) {
      this.root.querySelector(`[data-graph-action="${name}"]`)?.addEventListener("click", act);
    }
    this.root.querySelector("#graph-filter")?.addEventListener("input", (event) => this.#filter(event.target.value));
    document.addEventListener("nephoscope:range", (event) => {
      event.preventDefault();
      this.before = null;
      this.#setRange(event.detail, "push");
    });
    addEventListener("popstate", () => this.#setRange(readRange(location.search), "keep"));
  }

  #filter(words) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    for (const graph of this.graphs.values()) {
      const text = `${graph.metric.title} ${graph.metric.name} ${graph.labels.join(" ")}`.toLowerCase();
      graph.element.hidden = !wanted.every((word) => text.includes(word));
    }
  }

  #zoom(from, to) {
    this.before ??= this.range;
    const length = Math.max(SHORTEST_MS, to - from);
    this.#setRange({ from: to - length, to, live: false, range: null }, "push");
  }

  #reset() {
    const back = this.before ?? { range: "1h" };
    this.before = null;
    this.#setRange(back.range ? readRange(`?range=${back.range}`) : back, "push");
  }

  // history: "push" writes the range to the URL, "keep" leaves it.
  #setRange(range, history) {
    this.range = range;
    if (history === "push") window.history.pushState(null, "", writeRange(location.href, range));
    document.dispatchEvent(new CustomEvent("nephoscope:range-shown", { detail: range }));
    const reset = this.root.querySelector('[data-graph-action="reset"]');
    if (reset) reset.disabled = range.live && !this.before;
    this.root.dataset.from = Math.round(range.from);
    this.root.dataset.to = Math.round(range.to);
    if (range.live && !document.hidden) this.stream.start();
    else this.stream.stop();
    this.loaded.clear();
    this.#loadGaps();
    this.#load();
  }

  #now() {
    if (!this.range.live) return this.range;
    const now = Date.now();
    return { ...this.range, from: now - (this.range.to - this.range.from), to: now };
  }

  #seen(entries) {
    for (const entry of entries) {
      const graph = this.graphs.get(entry.target);
      if (entry.isIntersecting) this.visible.add(graph);
      else this.visible.delete(graph);
    }
    this.#load();
  }

  #reload() {
    this.loaded.clear();
    this.#load();
  }

  #load() {
    clearTimeout(this.gathering);
    this.gathering = setTimeout(() => this.#loadNow(), GATHER_MS);
  }

  // Asks for what is in view and not loaded for this range, one query per aggregate.
  #loadNow() {
    const range = this.#now();
    const wanted = [...this.visible].filter((graph) => this.loaded.get(graph) !== this.range);
    const groups = groupBy(wanted, (graph) => graph.wants.aggregate);
    for (const graph of wanted) this.loaded.set(graph, this.range);
    for (const [aggregate, graphs] of groups) this.#query(aggregate, graphs, range, this.range);
  }

  async #query(aggregate, graphs, range, asked) {
    const interval = Math.min(...graphs.flatMap((graph) => graph.definitions.map((one) => one.interval_ms || 10_000)));
    const rough = stepFor(range);
    const step = rough > interval ? rough : null;
    const from = step ? Math.floor(range.from / step) * step : Math.round(range.from);
    try {
      const answer = await post("/api/v1/query", {
        select: graphs.map((graph) => ({ resource: this.id, metric: graph.wants.metric })),
        from,
        to: Math.round(range.to),
        step,
        aggregate,
      });
      if (this.range !== asked) return;
      const byGraph = groupBy(answer.series, (one) => this.bySeries.get(one.id));
      for (const graph of graphs) graph.show(byGraph.get(graph) ?? [], step, range, this.gaps);
    } catch (error) {
      for (const graph of graphs) {
        this.loaded.delete(graph);
        graph.fail(`${texts.failed} ${error.message}`);
      }
    }
  }

  async #loadGaps() {
    const { from, to } = this.#now();
    try {
      const path = `/api/v1/resources/${encodeURIComponent(this.id)}/gaps`;
      this.gaps = joined(await list(`${path}?from=${Math.round(from)}&to=${Math.round(to)}`));
    } catch (error) {
      console.warn(error);
      return;
    }
    this.#showGaps(from, to);
    for (const graph of this.visible) if (!this.range.live) graph.follow(this.range, this.gaps);
  }

  #showGaps(from, to) {
    const place = this.root.querySelector("#gaps");
    const shown = this.gaps.filter((gap) => gap.to > from && gap.from < to);
    place.hidden = !shown.length;
    const items = explain(shown, shown).map((gap, at) => make("li", { "data-reason": shown[at].reason },
      make("span", { class: "state state-unknown", "aria-hidden": "true" }),
      make("span", { text: `${fill(texts.not_seen, { from: shortClock(gap.from), to: shortClock(gap.to) })} · ${gap.text}`,
        title: `${clock(gap.from)} – ${clock(gap.to)}` }),
      make("span", { class: "muted", text: shown[at].source ? ` ${shown[at].source}` : "" })));
    place.querySelector("ul").replaceChildren(...items);
  }

  #samples(samples) {
    let news = 0;
    for (const one of samples) news += this.bySeries.get(one.id)?.append(one.id, one.times, one.values) ? 1 : 0;
    if (news) announce(texts.updated);
    this.news ||= news > 0;
  }

  #tick() {
    if (!this.range.live || document.hidden) return;
    const range = this.#now();
    this.beat = (this.beat ?? 0) + 1;
    if (!this.news && this.beat % 5) return;
    this.news = false;
    for (const graph of this.visible) graph.follow(range, this.gaps);
  }

  #visibility() {
    if (document.hidden) this.stream.stop();
    else if (this.range.live) {
      this.stream.start();
      this.#reload();
    }
  }

  #lamp(state) {
    if (!this.lamp || this.lamp.dataset.lamp === state) return;
    this.lamp.dataset.lamp = state;
    this.lamp.querySelector(".lamp-word").textContent = texts.lamp[state];
  }
}

function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(item);
  }
  return groups;
}
