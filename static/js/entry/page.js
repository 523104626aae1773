// The page's entry: it alone touches the browser (document, Worker, fetch, storage) and hands what the pages need to ui/.
// One page stays loaded while people move between projects, so that the boss and its workers live on.
import { App } from "../ui/app.js";
import { makeApi } from "../ui/api.js";
import { connect } from "../ui/live.js";
import { supervise } from "../supervise.js";
import { chosenQuota } from "../ui/mine.js";
import { html, render, signal } from "../ui/preact.js";
import { readRoute } from "../ui/route.js";
import { text } from "../ui/text.js";

/** @param {string} name */
function meta(name) {
  const found = document.querySelector(`meta[name="${name}"]`);
  return found ? JSON.parse(found.getAttribute("content") ?? "null") : null;
}

/** Start the boss, again if it does not come up. */
function startBoss() {
  const create = () => new Worker(new URL("./boss.js", import.meta.url), { type: "module" });
  return supervise(create, { later: setTimeout.bind(window), cancel: clearTimeout.bind(window) });
}

/** @type {import("../ui/api.js").Request} */
async function request(method, url, { json, zip, file, ticket } = {}) {
  const headers = new Headers({ Accept: "application/json" });
  if (ticket) headers.set("Authorization", `Bearer ${ticket}`);
  if (json !== undefined) headers.set("Content-Type", "application/json");
  if (zip) headers.set("Content-Type", "application/zip");
  const answer = await fetch(url, { method, headers, body: json === undefined ? zip ?? file ?? null : JSON.stringify(json) });
  return { status: answer.status, body: parse(await answer.text()) };
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
        console.info(text.forgets);
      }
    },
  };
}

/** Whether the device charges: null where the browser does not tell. */
function charging() {
  const told = signal(/** @type {boolean | null} */ (null));
  const ask = /** @type {{getBattery?: () => Promise<EventTarget & {charging: boolean}>}} */ (/** @type {unknown} */ (navigator)).getBattery;
  if (!ask) return told;
  void ask.call(navigator).then(
    (battery) => {
      const look = () => (told.value = battery.charging);
      battery.addEventListener("chargingchange", look);
      look();
    },
    () => (told.value = null), // refused: as where it is unknown
  );
  return told;
}

/** Which browser this is, as far as it treats hidden tabs in a way of its own. @param {boolean} phone @returns {import("../ui/types").Browser} */
function browserOf(phone) {
  const { userAgent } = navigator;
  if (phone || /Android|iPhone|iPad/.test(userAgent)) return "phone";
  if (userAgent.includes("Firefox/")) return "firefox";
  if (userAgent.includes("Chrome/")) return "chromium";
  return userAgent.includes("Safari/") ? "safari" : "other";
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

const TOUCHES = ["pointermove", "pointerdown", "keydown", "wheel"];
const TOUCHED_EVERY_MS = 200;

/** Tell when a person uses the page, before anything that their input sets off. @param {() => void} told */
function noticeTouches(told) {
  let last = -Infinity;
  const notice = (/** @type {Event} */ { timeStamp }) => {
    if (timeStamp - last < TOUCHED_EVERY_MS) return;
    last = timeStamp;
    told();
  };
  for (const touch of TOUCHES) addEventListener(touch, notice, { capture: true, passive: true });
}

/** @param {ReturnType<typeof startBoss>} boss */
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
  const phone = matchMedia("(pointer: coarse) and (max-width: 820px)").matches;
  const kept = storage();
  /** @type {import("../ui/types").Env} */
  const env = {
    config,
    named: meta("mlitb-project"),
    api: makeApi(request, () => import("../ui/tus.js"), config.data_url, text),
    live: connect(boss, config.owner, () => performance.now(), () => Date.now()),
    route,
    title: (words) => (document.title = words ? `${words} · ${text.product}` : text.product),
    go,
    reload: () => location.reload(),
    copy,
    save,
    ...kept,
    ...luggage(),
    busy: () => document.querySelector("dialog[open], progress, form :focus, details[open] form") !== null,
    cores: navigator.hardwareConcurrency || 1,
    phone,
    browser: browserOf(phone),
    charging: charging(),
    onlyCharging: signal(kept.recall("charging") === "yes"),
    origin: location.origin,
    query: new URLSearchParams(location.search),
    visible: () => document.visibilityState === "visible",
    said: signal(""),
    pages: {
      classify: () => import("./classify.js").then(({ ClassifyPage }) => ClassifyPage),
      data: () => import("./datasets.js").then(({ DatasetsPage }) => DatasetsPage),
      statistics: () => import("./statistics.js").then(({ StatisticsPage }) => StatisticsPage),
    },
    secure: isSecureContext,
  };
  env.live.keep(chosenQuota(env).bytes);
  noticeTouches(env.live.touched);
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  root.replaceChildren();
  render(html`<${App} env=${env} />`, root);
}

start(startBoss());
