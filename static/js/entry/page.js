// The page's entry: it alone touches the browser (document, Worker, XMLHttpRequest, storage) and hands what the pages need to ui/.
// One page stays loaded while people move between projects, so that the boss and its workers live on.
import { App } from "../ui/app.js";
import { makeApi } from "../ui/api.js";
import { connect } from "../ui/live.js";
import { html, render, signal } from "../ui/preact.js";
import { readRoute } from "../ui/route.js";
import { text } from "../ui/text.js";

/** @param {string} name */
function meta(name) {
  const found = document.querySelector(`meta[name="${name}"]`);
  return found ? JSON.parse(found.getAttribute("content") ?? "null") : null;
}

/** Start the boss; null where the browser does not know module workers (it then never asks for the type). */
function startBoss() {
  let asked = false;
  const options = {
    /** @returns {WorkerType} */
    get type() {
      asked = true;
      return "module";
    },
  };
  const boss = new Worker("/static/js/entry/boss.js", options);
  if (asked) return boss;
  boss.terminate();
  return null;
}

/** XMLHttpRequest and not fetch: only it tells how much of an upload has left. @type {import("../ui/api.js").Request} */
function request(method, url, { json, file, ticket, progress } = {}) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open(method, url);
    call.setRequestHeader("Accept", "application/json");
    if (ticket) call.setRequestHeader("Authorization", `Bearer ${ticket}`);
    if (json !== undefined) call.setRequestHeader("Content-Type", "application/json");
    if (file) call.setRequestHeader("Content-Type", "application/zip");
    if (progress) call.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    call.onload = () => resolve({ status: call.status, body: parse(call.responseText) });
    call.onerror = () => reject(new Error(`${method} ${url} got no answer`));
    call.send(file ?? (json === undefined ? null : JSON.stringify(json)));
  });
}

/** @param {string} answer */
function parse(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return null; // not JSON: the status speaks for itself
  }
}

/** Keep small choices; where storage is refused they last as long as the page. */
function storage() {
  /** @type {Map<string, string>} */
  const memory = new Map();
  return {
    recall: (/** @type {string} */ key) => {
      try {
        return localStorage.getItem(`mlitb-${key}`) ?? memory.get(key) ?? "";
      } catch {
        return memory.get(key) ?? "";
      }
    },
    keep: (/** @type {string} */ key, /** @type {string} */ value) => {
      memory.set(key, value);
      try {
        localStorage.setItem(`mlitb-${key}`, value);
      } catch {
        memory.set(key, value);
      }
    },
  };
}

/** What this tab alone knows after it is loaded again. */
function luggage() {
  return {
    carried: (/** @type {string} */ key) => {
      try {
        return sessionStorage.getItem(`mlitb-${key}`) ?? "";
      } catch {
        return ""; // storage is refused: the tab starts as a new one
      }
    },
    carry: (/** @type {string} */ key, /** @type {string} */ value) => {
      try {
        sessionStorage.setItem(`mlitb-${key}`, value);
      } catch {
        console.info("This browser keeps nothing for a tab, so it forgets its workers when it is loaded again.");
      }
    },
  };
}

/** @param {string} name @param {Blob} blob */
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Only HTTPS pages may write to the clipboard. @param {string} words */
async function copy(words) {
  if (!navigator.clipboard) return false;
  return navigator.clipboard.writeText(words).then(
    () => true,
    () => false,
  );
}

/** Follow links between our own pages without leaving this one. @param {(path: string) => void} go */
function followLinks(go) {
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!(link instanceof HTMLAnchorElement) || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.target || link.hasAttribute("download") || link.hash) return;
    if (readRoute(link.pathname).page === "unknown") return;
    event.preventDefault();
    go(link.pathname);
  });
}

/** @param {NonNullable<ReturnType<typeof startBoss>>} boss */
function start(boss) {
  const config = meta("mlitb-config");
  const route = signal(readRoute(location.pathname));
  const go = (/** @type {string} */ path) => {
    history.pushState(null, "", path);
    route.value = readRoute(path);
    scrollTo(0, 0);
  };
  addEventListener("popstate", () => (route.value = readRoute(location.pathname)));
  followLinks(go);
  /** @type {import("../ui/types").Env} */
  const env = {
    config,
    named: meta("mlitb-project"),
    api: makeApi(request, config.data_url, text),
    live: connect(boss, config.owner, () => performance.now()),
    route,
    title: (words) => (document.title = words ? `${words} · ${text.product}` : text.product),
    go,
    reload: () => location.reload(),
    copy,
    save,
    ...storage(),
    ...luggage(),
    busy: () => document.querySelector("dialog[open], progress, form :focus, details[open] form") !== null,
    cores: navigator.hardwareConcurrency || 1,
    phone: matchMedia("(pointer: coarse) and (max-width: 820px)").matches,
    origin: location.origin,
    query: new URLSearchParams(location.search),
    visible: () => document.visibilityState === "visible",
    said: signal(""),
  };
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  root.replaceChildren();
  render(html`<${App} env=${env} />`, root);
}

const boss = startBoss();
if (boss) start(boss);
else {
  const note = /** @type {HTMLElement} */ (document.getElementById("lacking"));
  note.textContent = String(note.textContent).replace("{missing}", "module workers");
  note.hidden = false;
}
