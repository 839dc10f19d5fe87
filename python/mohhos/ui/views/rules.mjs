// Rules: their SQL, how they run, and changing them while they do.

import { html, useEffect, useRef, useState } from "../vendor/preact.mjs";
import { CodeJar } from "../vendor/codejar.mjs";
import { call, get } from "../api.mjs";
import { number, t } from "../i18n.mjs";
import { ProblemBox, Tag, useData } from "../parts.mjs";

const NEW = "+";
const EXAMPLE = `INSERT INTO alerts (device, severity, message, num)
SELECT device, 'warning', 'temperature is high', num
FROM telemetry
WHERE metric = 'temperature' AND num > 80;
`;
const WORDS = new RegExp(
  "(--[^\\n]*)|('(?:[^']|'')*')|\\b(SELECT|FROM|WHERE|GROUP|BY|HAVING|INSERT|INTO|CREATE|TABLE|WITH|AS|AND|OR|NOT|CASE|WHEN|THEN|ELSE|END|"
  + "TUMBLE|DESCRIPTOR|INTERVAL|SECOND|MINUTE|HOUR|DAY|WATERMARK|FOR|NULL|IS|IN|LIKE|BETWEEN|CAST|TRY_CAST|STRING|DOUBLE|BIGINT|INT|BOOLEAN|TIMESTAMP)\\b", "gi");

const escape = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);

function highlight(editor) {
  const text = editor.textContent;
  let out = "";
  let last = 0;
  for (const match of text.matchAll(WORDS)) {
    const kind = match[1] ? "c" : match[2] ? "s" : "k";
    out += `${escape(text.slice(last, match.index))}<span class="${kind}">${escape(match[0])}</span>`;
    last = match.index + match[0].length;
  }
  editor.innerHTML = out + escape(text.slice(last));
}

export function Rules() {
  const [data, problem] = useData(() => get("/rules"), 2);
  return html`<section><div class="row"><h1>${t("rules")}</h1><button class="main push" onClick=${() => { location.hash = `#/rules/${NEW}`; }}>${t("new_rule")}</button></div>
    <${ProblemBox} problem=${problem} />
    ${data && (data.items.length === 0 ? html`<p class="soft">${t("nothing")}</p>` : html`<table>
      <thead><tr><th>${t("name")}</th><th>${t("state")}</th><th>${t("version")}</th><th>${t("rows_in")}</th><th>${t("rows_out")}</th><th>${t("late")}</th><th>${t("error")}</th></tr></thead>
      <tbody>${data.items.map((r) => html`<tr key=${r.name}><td><a href="#/rules/${encodeURIComponent(r.name)}">${r.name}</a></td><td><${Tag} value=${r.state} /></td>
        <td>${r.version}</td><td>${number(r.rows_in, 0)}</td><td>${number(r.rows_out, 0)}</td><td>${number(r.late, 0)}</td><td class="wide bad">${r.error}</td></tr>`)}</tbody></table>`)}</section>`;
}

export function Rule({ name }) {
  const fresh = name === NEW;
  const place = useRef(null);
  const jar = useRef(null);
  const [title, setTitle] = useState(fresh ? "" : name);
  const [said, setSaid] = useState("");
  const [problem, setProblem] = useState(null);
  const [rule, , again] = useData(() => (fresh ? null : get(`/rules/${encodeURIComponent(name)}`)), 2, [name]);
  useEffect(() => {
    jar.current = CodeJar(place.current, highlight, { tab: "  " });
    if (fresh) jar.current.updateCode(EXAMPLE);
    return () => jar.current.destroy();
  }, []);
  useEffect(() => { if (rule) jar.current.updateCode(rule.sql); }, [rule?.version]);
  const attempt = (work, words) => async () => {
    try {
      await work();
      setProblem(null);
      setSaid(words);
    } catch (failure) {
      setSaid("");
      setProblem(failure);
    }
  };
  const check = attempt(() => call("POST", "/rules/check", { sql: jar.current.toString(), name: title || "check" }), t("right"));
  const apply = attempt(async () => {
    await call("PUT", `/rules/${encodeURIComponent(title)}`, { sql: jar.current.toString() });
    if (fresh) location.hash = `#/rules/${encodeURIComponent(title)}`; else again();
  }, t("applied"));
  const remove = attempt(async () => {
    if (!confirm(t("delete_sure"))) return;
    await call("DELETE", `/rules/${encodeURIComponent(name)}`);
    location.hash = "#/rules";
  }, "");
  return html`<div class="row"><a href="#/rules">← ${t("rules")}</a>
      ${fresh ? html`<input placeholder=${t("name")} aria-label=${t("name")} value=${title} onInput=${(e) => setTitle(e.target.value)} />` : html`<h1>${name}</h1>`}
      ${rule && html`<${Tag} value=${rule.state} /><span class="soft">${t("version")} ${rule.version}, ${number(rule.rows_in, 0)} ${t("rows_in")}, ${number(rule.rows_out, 0)} ${t("rows_out")}</span>`}
    </div>
    <section><div class="editor" ref=${place} role="textbox" aria-multiline="true" aria-label="SQL" spellcheck="false"></div>
      <p class="row"><button onClick=${check}>${t("check")}</button><button class="main" disabled=${!title} onClick=${apply}>${t("apply")}</button>
        <span class="good" role="status">${said}</span>${!fresh && html`<button class="push bad" onClick=${remove}>${t("delete")}</button>`}</p>
      <${ProblemBox} problem=${problem} />${rule?.error && html`<div class="problem"><p>${rule.error}</p></div>`}</section>`;
}
