// Words by language, one file each; numbers, sizes and times in the language's form.

const LANGUAGES = ["en", "fr"];
let words = {};
export let language = "en";

export async function useLanguage(wanted) {
  const known = wanted || localStorage.getItem("language") || navigator.language.slice(0, 2);
  language = LANGUAGES.includes(known) ? known : "en";
  localStorage.setItem("language", language);
  document.documentElement.lang = language;
  words = await (await fetch(`/ui/messages/${language}.json`)).json();
}

export const languages = LANGUAGES;
export const t = (key) => words[key] ?? key;

export const number = (value, digits = 1) =>
  value == null ? "–" : new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${number(value)} ${units[unit]}`;
}

export const time = (iso) =>
  iso ? new Date(iso).toLocaleString(language, { dateStyle: "short", timeStyle: "medium" }) : "–";
