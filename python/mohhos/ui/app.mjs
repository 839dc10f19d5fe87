// The page: who is signed in, and which view the address names.

import { html, render, useEffect, useState } from "./vendor/preact.mjs";
import { currentSession, signIn, signOut, whenSignedOut } from "./api.mjs";
import { language, languages, t, useLanguage } from "./i18n.mjs";
import { ProblemBox } from "./parts.mjs";
import { Alerts } from "./views/alerts.mjs";
import { Device } from "./views/device.mjs";
import { Devices } from "./views/devices.mjs";
import { Overview } from "./views/overview.mjs";
import { Rule, Rules } from "./views/rules.mjs";

const PARTS = ["overview", "devices", "rules", "alerts"];

// "#/devices/pump-1?status=offline" → ["devices", "pump-1", URLSearchParams]
function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [part = "", name = ""] = path.split("/").map(decodeURIComponent);
  return [PARTS.includes(part) ? part : "overview", name, new URLSearchParams(query)];
}

function View({ part, name, query }) {
  if (part === "devices") return name ? html`<${Device} key=${name} id=${name} />` : html`<${Devices} query=${query} />`;
  if (part === "rules") return name ? html`<${Rule} key=${name} name=${name} />` : html`<${Rules} />`;
  if (part === "alerts") return html`<${Alerts} query=${query} />`;
  return html`<${Overview} />`;
}

function SignIn({ done }) {
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      done(await signIn(new FormData(event.target).get("token").trim()));
    } catch (failure) {
      setProblem(failure);
    }
  };
  return html`<main><section class="signin"><h1>${t("sign_in")}</h1>
    <form class="row" onSubmit=${submit}>
      <input name="token" type="password" required autocomplete="current-password" aria-label=${t("token")}
        placeholder=${t("token")} style="flex:1" />
      <button class="main">${t("sign_in")}</button>
    </form>
    <p class="soft">${t("token_help")}</p><${ProblemBox} problem=${problem} /></section></main>`;
}

function App() {
  const [session, setSession] = useState(undefined);
  const [at, setAt] = useState(address());
  const [, setLanguage] = useState(language);
  useEffect(() => {
    whenSignedOut(() => setSession(null));
    currentSession().then(setSession);
    const moved = () => setAt(address());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  if (session === undefined) return null;
  const choose = async (event) => {
    await useLanguage(event.target.value);
    setLanguage(event.target.value);
  };
  const leave = async () => { await signOut(); setSession(null); };
  const [part, name, query] = at;
  return html`<header>
      <span class="name"><img src="/ui/icon.svg" width="24" height="24" alt="" /> MOHHOS</span>
      <nav>${session && PARTS.map((p) => html`<a href="#/${p}" aria-current=${p === part ? "page" : null}>${t(p)}</a>`)}</nav>
      <select aria-label=${t("language")} value=${language} onChange=${choose}>
        ${languages.map((l) => html`<option value=${l} selected=${l === language}>${l.toUpperCase()}</option>`)}
      </select>
      ${session && html`<button onClick=${leave}>${t("sign_out")}</button>`}
    </header>
    ${session ? html`<main><${View} key=${language} part=${part} name=${name} query=${query} /></main>`
      : html`<${SignIn} key=${language} done=${setSession} />`}`;
}

await useLanguage();
render(html`<${App} />`, document.getElementById("app"));
