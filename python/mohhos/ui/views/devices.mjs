// The list of devices: filtered and paged by the API.

import { html, useState } from "../vendor/preact.mjs";
import { t, time } from "../i18n.mjs";
import { ProblemBox, Tag, usePages } from "../parts.mjs";

const STATUSES = ["online", "offline", "never"];

export function Devices({ query }) {
  const [prefix, setPrefix] = useState(query.get("q") ?? "");
  const asked = new URLSearchParams({ limit: "100" });
  for (const name of ["status", "site", "type"]) if (query.get(name) !== null) asked.set(name, query.get(name));
  if (prefix) asked.set("q", prefix);
  const [{ items, next, problem }, more] = usePages(`/devices?${asked}`, [asked.toString()]);
  const go = (name, value) => {
    const wanted = new URLSearchParams(query);
    if (value) wanted.set(name, value); else wanted.delete(name);
    location.hash = `#/devices?${wanted}`;
  };
  return html`<section><div class="row"><h1>${t("devices")}</h1>
      <input class="push" placeholder=${t("filter")} aria-label=${t("filter")} value=${prefix} onInput=${(e) => setPrefix(e.target.value)} />
      <select aria-label=${t("status")} onChange=${(e) => go("status", e.target.value)}>
        <option value="">${t("status")}: ${t("all")}</option>
        ${STATUSES.map((s) => html`<option value=${s} selected=${query.get("status") === s}>${t(s)}</option>`)}
      </select>
      ${query.get("site") !== null && html`<button onClick=${() => go("site", "")}>${t("site")}: ${query.get("site") || t("no_site")} ✕</button>`}
    </div><${ProblemBox} problem=${problem} />
    ${items && (items.length === 0 ? html`<p class="soft">${t("nothing")}</p>` : html`<div class="scroll"><table>
      <thead><tr><th>${t("device")}</th><th>${t("status")}</th><th>${t("type")}</th><th>${t("model")}</th><th>${t("firmware")}</th>
        <th>${t("site")}</th><th>${t("last_seen")}</th></tr></thead>
      <tbody>${items.map((d) => html`<tr key=${d.id}><td><a href="#/devices/${encodeURIComponent(d.id)}">${d.id}</a></td>
        <td><${Tag} value=${d.status} /></td><td>${d.type}</td><td>${d.model}</td><td>${d.firmware}</td><td>${d.location.site}</td>
        <td>${time(d.last_seen)}</td></tr>`)}</tbody></table></div>`)}
    ${next && html`<p><button onClick=${more}>${t("more")}</button></p>`}</section>`;
}
