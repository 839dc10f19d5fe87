// Small parts that several views use.

import { html, useEffect, useRef, useState } from "./vendor/preact.mjs";
import { number, t } from "./i18n.mjs";

const TONES = {
  online: "good", running: "good", succeeded: "good", resolved: "good", offline: "warn", acknowledged: "warn", warning: "warn",
  clock: "warn", stopped: "warn", expired: "warn", open: "bad", failed: "bad", critical: "bad",
  allow: "good", throttle: "warn", quarantine: "bad",
};

export const Tag = ({ value }) => html`<span class="tag ${TONES[value] ?? "soft"}">${t(value)}</span>`;

export const Figure = ({ value, label, href, tone = "" }) => {
  const shown = typeof value === "number" ? number(value) : value;
  const inside = html`<b class=${tone}>${shown}</b><span>${label}</span>`;
  return href ? html`<a class="figure" href=${href}>${inside}</a>` : html`<div class="figure">${inside}</div>`;
};

export const ProblemBox = ({ problem }) => problem && html`<div class="problem" role="alert">
  <p>${problem.message}</p>
  ${problem.line != null && html`<p class="soft">${t("line")} ${problem.line}, ${t("column")} ${problem.column}</p>`}
  ${problem.hint && html`<p><b>${t("hint")}:</b> ${problem.hint}</p>`}
  ${problem.next_step && problem.next_step !== problem.hint && html`<p><b>${t("next")}:</b> ${problem.next_step}</p>`}
</div>`;

// Asks `load` now and every `seconds`; gives [answer, problem, again].
export function useData(load, seconds, keys = []) {
  const [state, set] = useState([null, null]);
  const again = useRef(() => {});
  useEffect(() => {
    let over = false;
    let timer;
    const ask = async () => {
      clearTimeout(timer);
      try {
        const answer = await load();
        if (!over) set([answer, null]);
      } catch (problem) {
        if (!over) set(([kept]) => [kept, problem.status ? problem : new Error(t("lost"))]);
      }
      if (!over && seconds) timer = setTimeout(ask, seconds * 1000);
    };
    again.current = ask;
    ask();
    return () => { over = true; clearTimeout(timer); };
  }, keys);
  return [...state, () => again.current()];
}

// A list that grows page by page with the API's cursor; it never holds more than was asked for.
export function usePages(path, keys) {
  const [state, set] = useState({ items: null, next: null, problem: null });
  const fetchPage = async (cursor) => {
    try {
      const { get } = await import("./api.mjs");
      const page = await get(path + (cursor ? `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : ""));
      set((s) => ({ items: cursor ? [...s.items, ...page.items] : page.items, next: page.next, problem: null }));
    } catch (problem) {
      set((s) => ({ ...s, problem }));
    }
  };
  useEffect(() => { fetchPage(null); }, keys);
  return [state, () => fetchPage(state.next), () => fetchPage(null)];
}

const COLOURS = ["#0f8f78", "#3b6fd4", "#c26b00", "#a83279", "#6b7f00", "#8a4fd0", "#c0262d", "#4a6272"];

// Lines over time. `data` is uPlot's: [seconds, values of the first, …].
export function Chart({ data, names, colour = 0, height = 220 }) {
  const place = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    const series = [{ label: t("time") }, ...names.map((label, i) => ({
      label, stroke: COLOURS[(colour + i) % COLOURS.length], width: 1.5, points: { show: false },
    }))];
    const axis = { stroke: getComputedStyle(document.body).color, grid: { stroke: "#8884" }, ticks: { stroke: "#8884" } };
    plot.current = new window.uPlot(
      { width: place.current.clientWidth, height, series, axes: [axis, { ...axis, size: 60 }], cursor: { y: false } },
      data, place.current);
    const watch = new ResizeObserver(() => plot.current.setSize({ width: place.current.clientWidth, height }));
    watch.observe(place.current);
    return () => { watch.disconnect(); plot.current.destroy(); };
  }, [names.join("\n")]);
  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="chart" ref=${place}></div>`;
}
