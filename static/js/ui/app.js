// The frame around every page: header, connection, announcements; and which page is shown.
import { html, useEffect, useSignal } from "./preact.js";
import { count } from "./format.js";
import { Mark } from "./icons.js";
import { JoinPage } from "./join.js";
import { Lazily } from "./lazily.js";
import { ProjectPage } from "./project.js";
import { ProjectsPage } from "./projects.js";
import { sentence, text } from "./text.js";
import { useCharging } from "./charging.js";
import { useUpgrade } from "./upgrade.js";

/** @typedef {import("./types").Env} Env */

/** @param {{env: Env}} props */
export function App({ env }) {
  const { page, id } = env.route.value;
  useUpgrade(env);
  useCharging(env);
  return html`
    <a class="skip" href="#main">${text.skip}</a>
    <${Header} env=${env} />
    <${ConnectionBanner} env=${env} />
    <main id="main" tabindex="-1">
      ${page === "projects" && html`<${ProjectsPage} env=${env} />`} ${page === "project" && html`<${ProjectPage} env=${env} id=${id} key=${id} />`}
      ${(page === "classify" || page === "statistics" || page === "data") && html`<${Later} env=${env} name=${page} id=${id} key=${`${page} ${id}`} />`}
      ${page === "join" && html`<${JoinPage} env=${env} id=${id} key=${id} />`} ${page === "unknown" && html`<${NotFound} />`}
    </main>
    <footer class="foot"><p>${text.footer}</p></footer>
    <div class="sr-only" role="status" aria-live="polite">${env.said.value}</div>
  `;
}

/** A page whose code is fetched when it is first shown. @param {{env: Env, name: string, id: string}} props */
function Later({ env, name, id }) {
  return html`<${Lazily} load=${env.pages[name]} with=${{ env, id }} frame="page" />`;
}

const NotFound = () => html`
  <div class="page narrow">
    <h1>${text.notFoundTitle}</h1>
    <p class="lead">${text.notFound} <a href="/">${text.toProjects}</a></p>
  </div>
`;

/** @param {{env: Env}} props */
const Header = ({ env }) => html`
  <header class="top">
    <a class="brand" href="/" aria-label=${`${text.product}: ${text.projects}`}><${Mark} /><span>${text.product}</span></a>
    ${env.route.value.page !== "projects" && html`<nav class="crumbs" aria-label=${text.projects}><a href="/">${text.projects}</a></nav>`}
    <span class="grow"></span>
    <${MyWork} env=${env} />
    <${ConnectionState} env=${env} />
  </header>
`;

/** What this page gives right now, on every page. @param {{env: Env}} props */
function MyWork({ env }) {
  const mine = env.live.workers.value.filter(({ role, state }) => role === "trainer" && state !== "failed"); // the others give nothing to the training
  if (!mine.length) return null;
  const total = count(mine.reduce((sum, worker) => sum + worker.total, 0));
  return html`<a class="pill" href=${`/project/${encodeURIComponent(mine[0].project)}`} title=${text.mine.leave}>
    <span class="dot pulse" aria-hidden="true"></span>${text.mine.pill(mine.length)}<span class="sr-only"> ${text.mine.pillYours} </span><span class="pill-power">${total} ${text.stat.dataUnit}</span>
  </a>`;
}

/** Seconds until the next try, counted down here: the boss says it once. @param {Env} env */
function useRetrySeconds(env) {
  const left = useSignal(0);
  const { state, retryMs, since } = env.live.connection.value;
  useEffect(() => {
    const tick = () => (left.value = Math.max(0, Math.ceil((retryMs - (performance.now() - since)) / 1000)));
    tick();
    if (state !== "lost") return;
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [state, retryMs, since]);
  return left.value;
}

/** @param {{env: Env}} props */
function ConnectionState({ env }) {
  const { state } = env.live.connection.value;
  const left = useRetrySeconds(env);
  const words = {
    connecting: text.connection.connecting,
    open: text.connection.open,
    lost: text.connection.lost(left),
    reload: text.connection.reloadNow,
    closed: text.connection.closed,
  };
  return html`<span class=${`connection ${state}`} data-testid="connection" data-state=${state}>
    <span class="dot" aria-hidden="true"></span><span class="connection-words">${words[/** @type {keyof typeof words} */ (state)] ?? state}</span>
  </span>`;
}

/** What is wrong with the connection and what happens next. @param {{env: Env}} props */
function ConnectionBanner({ env }) {
  const { state, reason } = env.live.connection.value;
  const left = useRetrySeconds(env);
  if (state === "lost")
    return html`<div class="banner">
      <span aria-hidden="true">${text.connection.lost(left)}.</span>
      <span role="status"> ${sentence(reason)} ${env.live.workers.value.length ? text.connection.lostWhy : ""}</span>
    </div>`;
  if (state !== "reload" && state !== "closed") return null;
  const words = state === "reload" ? text.connection.reload : text.connection.closedWhy(reason);
  return html`<div class="banner" role="alert">
    ${words} <button type="button" class="small" data-testid="load-again" onClick=${env.reload}>${text.connection.reloadNow}</button>
  </div>`;
}
