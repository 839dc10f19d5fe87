// Alerts: what is open, and saying who takes care of it.

import { html, useEffect, useState } from "../vendor/preact.mjs";
import { call, listen } from "../api.mjs";
import { number, t, time } from "../i18n.mjs";
import { ProblemBox, Tag, usePages } from "../parts.mjs";

const STATES = ["open", "acknowledged", "resolved"];

export function Alerts({ query }) {
  const chosen = query.getAll("state");
  const asked = new URLSearchParams({ limit: "100" });
  for (const state of chosen.length ? chosen : ["open", "acknowledged"]) asked.append("state", state);
  if (query.get("rule")) asked.set("rule", query.get("rule"));
  const [{ items, next, problem }, more, again] = usePages(`/alerts?${asked}`, [asked.toString()]);
  const [refused, setRefused] = useState(null);
  useEffect(() => {
    let timer = 0;
    const end = listen("/events/alerts", "alert", () => { timer ||= setTimeout(() => { timer = 0; again(); }, 1000); });
    return () => { end(); clearTimeout(timer); };
  }, [asked.toString()]);
  const act = (id, action) => async () => {
    try {
      await call("POST", `/alerts/${encodeURIComponent(id)}/${action}`);
      setRefused(null);
    } catch (failure) {
      setRefused(failure);
    }
    again();
  };
  const choose = (event) => {
    const wanted = new URLSearchParams(query);
    wanted.delete("state");
    if (event.target.value) wanted.append("state", event.target.value);
    location.hash = `#/alerts?${wanted}`;
  };
  return html`<section><div class="row"><h1>${t("alerts")}</h1>
      ${query.get("rule") && html`<a class="button" href="#/alerts">${t("rule")}: ${query.get("rule")} ✕</a>`}
      <select class="push" aria-label=${t("state")} onChange=${choose}><option value="">${t("open")} + ${t("acknowledged")}</option>
        ${STATES.map((s) => html`<option value=${s} selected=${chosen.length === 1 && chosen[0] === s}>${t(s)}</option>`)}</select></div>
    <${ProblemBox} problem=${refused ?? problem} />
    ${items && (items.length === 0 ? html`<p class="soft">${t("nothing_open")}</p>` : html`<div class="scroll"><table>
      <thead><tr><th>${t("severity")}</th><th>${t("state")}</th><th>${t("rule")}</th><th>${t("device")}</th><th>${t("message")}</th><th>${t("count")}</th><th>${t("time")}</th><th></th></tr></thead>
      <tbody>${items.map((a) => html`<tr key=${a.id}><td><${Tag} value=${a.severity} /></td><td><${Tag} value=${a.state} /></td>
        <td><a href="#/rules/${encodeURIComponent(a.rule)}">${a.rule}</a></td><td>${a.device && html`<a href="#/devices/${encodeURIComponent(a.device)}">${a.device}</a>`}</td>
        <td class="wide">${a.message}</td><td>${number(a.occurrences, 0)}</td><td>${time(a.last)}</td>
        <td class="row">${a.state === "open" && html`<button onClick=${act(a.id, "acknowledge")}>${t("acknowledge")}</button>`}
          ${a.state !== "resolved" && html`<button onClick=${act(a.id, "resolve")}>${t("resolve")}</button>`}</td></tr>`)}</tbody></table></div>`)}
    ${next && html`<p><button onClick=${more}>${t("more")}</button></p>`}</section>`;
}
