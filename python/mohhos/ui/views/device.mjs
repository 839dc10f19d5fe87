// One device: what it is, what it says now, its commands.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.mjs";
import { call, get, listen } from "../api.mjs";
import { number, t, time } from "../i18n.mjs";
import { Link } from "./link.mjs";
import { Chart, ProblemBox, Tag, useData } from "../parts.mjs";

const WINDOW_S = 900;
const MAX_LINES = 12;
const MAX_POINTS = 2000;

// Points by metric: the history of the last minutes, then what comes live.
function useSeries(id) {
  const series = useRef(new Map());
  const [shown, setShown] = useState(0);
  const add = (metric, seconds, value) => {
    if (!series.current.has(metric)) {
      if (series.current.size >= MAX_LINES) return;
      series.current.set(metric, []);
    }
    series.current.get(metric).push([seconds, value]);
  };
  useEffect(() => {
    let timer = 0;
    const dirty = () => { timer ||= setTimeout(() => { timer = 0; setShown((n) => n + 1); }, 250); };
    get(`/devices/${encodeURIComponent(id)}/telemetry/buckets?from=-15m&bucket=2s&aggregate=last`).then((answer) => {
      for (const [metric, points] of Object.entries(answer.metrics)) {
        points.ts.forEach((us, i) => points.last[i] != null && add(metric, us / 1e6, points.last[i]));
      }
      dirty();
    }, () => {});
    const end = listen(`/events/telemetry?device=${encodeURIComponent(id)}`, "telemetry", (rows) => {
      for (const row of rows) if (row.num != null) add(row.metric, row.ts / 1e6, row.num);
      dirty();
    });
    return () => { end(); clearTimeout(timer); };
  }, [id]);
  return useMemo(() => {
    const since = Date.now() / 1000 - WINDOW_S;
    return [...series.current.keys()].sort().map((name) => {
      const kept = series.current.get(name).filter(([s]) => s >= since).sort((a, b) => a[0] - b[0]).slice(-MAX_POINTS);
      series.current.set(name, kept);
      return { name, data: [kept.map(([s]) => s), kept.map(([, value]) => value)] };
    });
  }, [shown]);
}

function Commands({ id }) {
  const [list, problem, again] = useData(() => get(`/devices/${encodeURIComponent(id)}/commands?limit=10`), 3, [id]);
  const [refused, setRefused] = useState(null);
  const send = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      const text = form.get("parameters").trim();
      await call("POST", `/devices/${encodeURIComponent(id)}/commands`, { name: form.get("name"), parameters: text ? JSON.parse(text) : null });
      setRefused(null);
      again();
    } catch (failure) {
      setRefused(failure);
    }
  };
  return html`<section><h2>${t("commands")}</h2>
    <form class="row" onSubmit=${send}><input name="name" required placeholder=${t("command")} aria-label=${t("command")} />
      <input name="parameters" placeholder=${t("parameters")} aria-label=${t("parameters")} style="flex:1" /><button class="main">${t("send")}</button></form>
    <${ProblemBox} problem=${refused ?? problem} />
    ${list?.items.length > 0 && html`<table><thead><tr><th>${t("command")}</th><th>${t("state")}</th><th>${t("output")}</th><th>${t("time")}</th></tr></thead>
      <tbody>${list.items.map((c) => html`<tr key=${c.id}><td>${c.name} <span class="soft">${JSON.stringify(c.parameters)}</span></td>
        <td><${Tag} value=${c.state} /></td><td class="wide">${c.output == null ? "" : JSON.stringify(c.output)}</td><td>${time(c.created)}</td></tr>`)}</tbody></table>`}
  </section>`;
}

function State({ id, state, again }) {
  const [problem, setProblem] = useState(null);
  if (!state) return null;
  const act = async (event) => {
    event.preventDefault();
    const form = event.target;
    const wanted = event.submitter.value;
    const body = { state: wanted, reason: form.elements.reason.value };
    if (wanted === "throttle") body.rate = Number(form.elements.rate.value);
    try {
      await call("PUT", `/devices/${encodeURIComponent(id)}/state`, body);
      setProblem(null);
      form.reset();
      again();
    } catch (failure) {
      setProblem(failure);
    }
  };
  const facts = [["reason", state.reason], ["operator", state.operator], ["since", state.since && time(state.since)],
    ["rate", state.rate && number(state.rate, 3)], ["topics", state.topics.join(", ")]].filter(([, value]) => value);
  return html`<section class="state"><h2>${t("policy_state")} <${Tag} value=${state.state} /></h2>
    <dl>${facts.map(([key, value]) => html`<dt>${t(key)}</dt><dd>${value}</dd>`)}</dl>
    <form class="row" onSubmit=${act}>
      <label>${t("reason")} <input name="reason" maxlength="512" /></label>
      <label>${t("rate")} <input name="rate" type="number" min="0.001" step="any" value="1" /></label>
      <button value="quarantine">${t("do_quarantine")}</button><button value="throttle">${t("do_throttle")}</button>
      <button value="kick">${t("do_kick")}</button>
      ${state.state !== "allow" && html`<button value="allow">${t("do_release")}</button>`}
    </form><${ProblemBox} problem=${problem} /></section>`;
}

export function Device({ id }) {
  const path = `/devices/${encodeURIComponent(id)}`;
  const [device, problem] = useData(() => get(path), 5, [id]);
  const [latest] = useData(() => get(`${path}/latest`), 3, [id]);
  const [link] = useData(() => get(`${path}/connection`), 3, [id]);
  const [state, , again] = useData(() => get(`${path}/state`), 5, [id]);
  const charts = useSeries(id);
  if (!device) return html`<${ProblemBox} problem=${problem} />`;
  const facts = [
    ["type", device.type], ["model", device.model], ["firmware", device.firmware], ["site", device.location.site],
    ["location", device.location.lat == null ? "" : `${device.location.lat}, ${device.location.lon}`], ["parent", device.parent],
    ["labels", Object.entries(device.labels).map(([k, v]) => `${k}=${v}`).join(", ")],
    ["first_seen", time(device.first_seen)], ["last_seen", time(device.last_seen)], ["created", time(device.created)],
  ].filter(([, value]) => value);
  return html`<div class="row"><a href="#/devices">← ${t("devices")}</a><h1>${device.id}</h1><${Tag} value=${device.status} /></div>
    <${ProblemBox} problem=${problem} />
    <section><h2>${t("live")} <span class="soft">(${t("history")})</span></h2>
      ${charts.length > 0 ? html`<div class="charts">${charts.map((c, i) => html`<${Chart} key=${c.name} data=${c.data} names=${[c.name]} colour=${i} height=${150} />`)}</div>`
        : html`<p class="soft">${t("nothing")}</p>`}</section>
    <div class="grid">
      <section><h2>${t("latest")}</h2>${latest?.items.length > 0 ? html`<table><thead><tr><th>${t("metric")}</th><th>${t("value")}</th><th>${t("quality")}</th><th>${t("time")}</th></tr></thead>
        <tbody>${latest.items.map((r) => html`<tr key=${r.metric}><td>${r.metric}</td><td>${r.text ?? number(r.num, 4)}</td><td>${r.quality}</td><td>${time(r.time)}</td></tr>`)}</tbody></table>`
        : html`<p class="soft">${t("nothing")}</p>`}</section>
      <section><h2>${t("device")}</h2><dl>${facts.map(([key, value]) => html`<dt>${t(key)}</dt><dd>${value}</dd>`)}</dl></section>
    </div><${Link} link=${link} /><${Commands} id=${id} /><${State} id=${id} state=${state} again=${again} />`;
}
