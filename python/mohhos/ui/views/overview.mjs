// What needs action; what changed; is data flowing; how is the gateway; where.

import { html, useMemo } from "../vendor/preact.mjs";
import { get } from "../api.mjs";
import { bytes, number, t, time } from "../i18n.mjs";
import { Chart, Figure, ProblemBox, Tag, useData } from "../parts.mjs";

const EVERY_S = 2;

const NeedsAction = ({ alerts }) => html`<section><h2>${t("needs_action")}</h2>
  <div class="figures">
    <${Figure} value=${alerts.open} label=${t("open")} href="#/alerts?state=open" tone=${alerts.open ? "bad" : "good"} />
    <${Figure} value=${alerts.acknowledged} label=${t("acknowledged")} href="#/alerts?state=acknowledged" />
  </div>
  ${alerts.groups.length === 0 ? html`<p class="soft">${t("nothing_open")}</p>` : html`<table><tbody>
    ${alerts.groups.slice(0, 8).map((g) => html`<tr>
      <td><${Tag} value=${g.severity} /></td>
      <td><a href="#/alerts?rule=${encodeURIComponent(g.rule)}">${g.rule}</a></td>
      <td>${number(g.devices, 0)} ${t("devices_affected")}</td><td class="soft">${time(g.last)}</td></tr>`)}
  </tbody></table>`}</section>`;

const Changed = ({ devices }) => html`<section><h2>${t("changed")}</h2>
  <div class="figures">
    <${Figure} value=${devices.online} label=${t("online")} href="#/devices?status=online" tone="good" />
    <${Figure} value=${devices.offline} label=${t("offline")} href="#/devices?status=offline" tone=${devices.offline ? "warn" : ""} />
    <${Figure} value=${devices.never} label=${t("never")} href="#/devices?status=never" />
    <${Figure} value=${devices.total} label=${t("total")} href="#/devices" />
  </div>
  <table><thead><tr><th>${t("site")}</th><th>${t("offline")}</th><th>${t("total")}</th></tr></thead><tbody>
    ${devices.by_site.slice(0, 8).map((s) => html`<tr>
      <td><a href="#/devices?site=${encodeURIComponent(s.site)}">${s.site || t("no_site")}</a></td>
      <td class=${s.offline ? "warn" : ""}>${number(s.offline, 0)}</td><td>${number(s.total, 0)}</td></tr>`)}
  </tbody></table></section>`;

function Flowing({ flow }) {
  const data = useMemo(() => [flow.series.map(([us]) => us / 1e6), flow.series.map(([, rate]) => rate)], [flow.series]);
  return html`<section><h2>${t("flow")}</h2>
    <div class="figures">
      <${Figure} value=${flow.messages_per_s} label=${t("messages_per_s")} />
      <${Figure} value=${flow.baseline_per_s} label=${t("usual")} />
      <${Figure} value=${flow.readings_per_s} label=${t("readings_per_s")} />
      <${Figure} value=${flow.dropped} label=${t("dropped")} tone=${flow.dropped ? "warn" : ""} />
      <${Figure} value=${flow.dead_letters} label=${t("dead_letters")} tone=${flow.dead_letters ? "warn" : ""} />
      <${Figure} value=${flow.refusals} label=${t("refusals")} tone=${flow.refusals ? "warn" : ""} />
      <${Figure} value=${bytes(flow.log_backlog_bytes)} label=${t("backlog")} />
    </div>
    <${Chart} data=${data} names=${[t("messages_per_s")]} height=${160} /></section>`;
}

const GatewayState = ({ gateway }) => html`<section><h2>${t("gateway")}</h2>
  ${gateway.conditions.map((c) => html`<div class="problem"><p>${c.message}</p><p class="soft">${t("since")} ${time(c.since)}</p></div>`)}
  <div class="figures">
    <${Figure} value=${bytes(gateway.disk_free_bytes)} label=${t("disk_free")} />
    ${gateway.disk_days_left != null && html`<${Figure} value=${gateway.disk_days_left} label=${t("disk_days")} />`}
    <${Figure} value=${t(gateway.clock_synchronised ? "clock_good" : "clock_bad")} label=${t("clock")}
      tone=${gateway.clock_synchronised ? "" : "warn"} />
    <${Figure} value=${bytes(gateway.memory_bytes)} label=${t("memory")} />
    <${Figure} value=${gateway.connections} label=${t("connections")} />
    <${Figure} value=${gateway.rules_failed} label=${t("rules_failed")} href="#/rules" tone=${gateway.rules_failed ? "bad" : ""} />
  </div>
  <p class="soft">${gateway.name}, ${t("version")} ${gateway.version}, ${t("since")} ${time(gateway.started)}</p></section>`;

// Sites by longitude and latitude (equirectangular); a circle grows with its devices and shows how many are offline.
function SiteMap({ sites }) {
  const placed = sites.filter((s) => s.lat != null && s.lon != null);
  if (placed.length === 0) return null;
  const squeeze = Math.cos((placed[0].lat * Math.PI) / 180);
  const xs = placed.map((s) => s.lon * squeeze);
  const ys = placed.map((s) => -s.lat);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min(520 / (x1 - x0 || 1), 150 / (y1 - y0 || 1));
  const [cx, cy] = [(x0 + x1) / 2, (y0 + y1) / 2];
  return html`<section class="map"><h2>${t("map")}</h2><svg viewBox="0 0 700 240" role="img" aria-label=${t("map")}>
    ${placed.map((s, i) => {
      const [x, y] = [350 + (xs[i] - cx) * scale, 120 + (ys[i] - cy) * scale];
      const radius = 8 + Math.min(26, 4 * Math.log2(1 + s.total));
      return html`<a href="#/devices?site=${encodeURIComponent(s.site)}">
        <circle cx=${x} cy=${y} r=${radius} fill=${s.offline ? "var(--warn)" : "var(--accent)"} fill-opacity=".75" />
        <text x=${x} y=${y + 4} text-anchor="middle" style="fill:#fff">${s.total}</text>
        <text x=${x} y=${y + radius + 13} text-anchor="middle">${s.site || t("no_site")}</text></a>`;
    })}</svg></section>`;
}

export function Overview() {
  const [data, problem] = useData(() => get("/overview"), EVERY_S);
  if (!data) return html`<${ProblemBox} problem=${problem} />`;
  return html`<${ProblemBox} problem=${problem} />
    <div class="grid"><${NeedsAction} alerts=${data.alerts} /><${Changed} devices=${data.devices} /></div>
    <${Flowing} flow=${data.flow} />
    <div class="grid"><${GatewayState} gateway=${data.gateway} /><${SiteMap} sites=${data.devices.by_site} /></div>`;
}
