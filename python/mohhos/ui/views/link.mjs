// How a device is connected: its sessions, what was lost or refused, how quick it is, its connections before.

import { html } from "../vendor/preact.mjs";
import { bytes, number, t, time } from "../i18n.mjs";

const FOR_EVER = 4294967295;

const Facts = ({ facts }) => html`<dl>${facts.map(([key, value]) => html`<dt>${t(key)}</dt><dd>${value}</dd>`)}</dl>`;

function Session({ session: s }) {
  const version = { 4: "MQTT 3.1.1", 5: "MQTT 5" }[s.protocol] ?? "";
  const kept = s.expiry_s === FOR_EVER ? t("for_ever") : `${number(s.expiry_s, 0)} ${t("seconds")}`;
  const filters = s.subscriptions.map((each) => `${each.filter} (${each.qos})`).join(", ");
  const more = s.subscription_count > s.subscriptions.length ? ` … ${number(s.subscription_count, 0)}` : "";
  const facts = [
    ...(s.connected ? [["connected_since", time(s.since)], ["address", s.address], ["protocol", `${version}, ${s.transport} (${s.listener})`],
      ["keep_alive", `${s.keep_alive_s} ${t("seconds")}`]] : [["state", t("offline")]]),
    ["session_expiry", kept], ["subscriptions", filters ? filters + more : "–"], ["waiting_for_it", number(s.queued, 0)],
    ["in_flight", `${s.in_flight_out} / ${s.in_flight_in}`], ...(s.unsent_bytes > 0 ? [["unsent", bytes(s.unsent_bytes)]] : []),
  ];
  return html`<h3>${s.client}</h3><${Facts} facts=${facts} />
    ${s.topics.length > 0 && html`<table><thead><tr><th>${t("latest_topics")}</th><th>${t("messages")}</th><th>${t("time")}</th></tr></thead>
      <tbody>${s.topics.map((each) => html`<tr key=${each.topic}><td class="wide">${each.topic}</td><td>${number(each.messages, 0)}</td><td>${time(each.last)}</td></tr>`)}</tbody></table>`}`;
}

function Latency({ link }) {
  const rows = link.commit_latency.map((bucket, i) => ({ le: bucket.le_ms, commit: bucket.count, delivery: link.delivery_latency[i].count }));
  if (!rows.some((row) => row.commit || row.delivery)) return null;
  return html`<h3>${t("latency")}</h3><table><thead><tr><th>${t("up_to")}</th><th>${t("on_disk")}</th><th>${t("acknowledged_by_it")}</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.le}><td>${row.le == null ? t("longer") : `${number(row.le)} ms`}</td><td>${number(row.commit, 0)}</td><td>${number(row.delivery, 0)}</td></tr>`)}</tbody></table>`;
}

export function Link({ link }) {
  if (!link?.sessions) return null;
  const { slow, queue_full, unsendable } = link.drops;
  const counted = [
    ["messages_in", number(link.messages_in, 0)], ["bytes_in", bytes(link.bytes_in)], ["messages_out", number(link.messages_out, 0)],
    ["bytes_out", bytes(link.bytes_out)], ["drops", `${slow} / ${queue_full} / ${unsendable}`], ["refusals", number(link.refused, 0)],
    ["dead_letters", number(link.dead_letters, 0)], ["clock_corrections", number(link.clock_corrections, 0)], ["connects", number(link.connects, 0)],
  ];
  return html`<section><h2>${t("connection")}</h2><div class="grid">
      <div>${link.sessions.length > 0 ? link.sessions.map((s) => html`<${Session} key=${s.client} session=${s} />`) : html`<p class="soft">${t("nothing")}</p>`}</div>
      <div><${Facts} facts=${counted} /><${Latency} link=${link} /></div></div>
    ${link.history.length > 0 && html`<h3>${t("past_connections")}</h3><table><thead><tr><th>${t("since")}</th><th>${t("until")}</th><th>${t("reason")}</th><th>${t("address")}</th><th>${t("topic")}</th></tr></thead>
      <tbody>${link.history.slice(0, 10).map((v) => html`<tr key=${v.until + v.since}><td>${time(v.since)}</td><td>${time(v.until)}</td><td>${v.reason}</td><td>${v.address ?? ""}</td><td class="wide">${v.last_topic ?? ""}</td></tr>`)}</tbody></table>`}
    ${link.refusals.length > 0 && html`<h3>${t("refused_and_dropped")}</h3><table><thead><tr><th>${t("action")}</th><th>${t("topic")}</th><th>${t("reason")}</th><th>${t("count")}</th><th>${t("time")}</th></tr></thead>
      <tbody>${link.refusals.slice(0, 10).map((r) => html`<tr key=${r.action + r.topic + r.reason_code}><td>${t(r.action)}</td><td class="wide">${r.topic}</td><td>${r.reason}</td><td>${number(r.count, 0)}</td><td>${time(r.last)}</td></tr>`)}</tbody></table>`}
  </section>`;
}
