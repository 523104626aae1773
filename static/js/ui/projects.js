// The first page: all projects at a glance, and the way to the first one.
import { count, percent } from "./format.js";
import { Icon } from "./icons.js";
import { Lazily } from "./lazily.js";
import { Badge, Dialog, Problem } from "./parts.js";
import { html, useEffect, useRef, useSignal } from "./preact.js";
import { sentence, text } from "./text.js";

/** @typedef {import("./types").Project} Project @typedef {import("./types").Env} Env */

const REFRESH_MS = 3000; // as often as a person looks; the page asks only while it is visible

const newProject = () => import("./create.js").then(({ NewProject }) => NewProject);

/** @param {Env} env */
function useProjects(env) {
  const projects = useSignal(/** @type {Project[] | null} */ (null));
  const problem = useSignal("");
  const load = () =>
    env.api.projects().then(
      (found) => {
        projects.value = found;
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    );
  useEffect(() => {
    void load();
    const timer = setInterval(() => env.visible() && void load(), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  return { projects: projects.value, problem: problem.value, load };
}

/** @param {{env: Env}} props */
export function ProjectsPage({ env }) {
  const { projects, problem, load } = useProjects(env);
  const creating = useSignal(false);
  const draft = useRef(null);
  const open = () => (creating.value = true);
  const close = () => (creating.value = false);
  const owner = env.live.owner.value;
  useEffect(() => {
    env.title(text.projects);
    env.live.watch("");
  }, []);
  return html`
    <div class="page">
      <div class="page-head">
        <div>
          <h1>${text.home.title}</h1>
          <p class="lead">${text.home.lead}</p>
        </div>
        <div class="head-actions">
          <a class="button" href="/data" data-testid="to-data"><${Icon} name="photo" />${text.data.sets}</a>
          ${owner && html`<button type="button" class="primary" data-testid="new-project" onClick=${open}><${Icon} name="plus" />${text.home.create}</button>`}
        </div>
      </div>
      ${problem && html`<${Problem} id="projects" again=${load}>${problem}<//>`}
      ${projects === null && !problem && html`<p class="quiet-line" role="status">${text.loading}</p>`}
      ${projects?.length === 0 && html`<${Empty} env=${env} owner=${owner} open=${open} />`}
      ${!!projects?.length &&
      html`<ul class="cards">
        ${projects.map((project) => html`<${Card} key=${project.id} env=${env} project=${project} />`)}
      </ul>`}
      ${owner &&
      html`<${Dialog} open=${creating.value} onClose=${close} title=${text.home.create} class="sheet">
        <${Lazily} load=${newProject} with=${{ env, kept: draft, close }} frame="sheet-scroll" />
      <//>`}
    </div>
  `;
}

/** @param {{env: Env, owner: boolean, open: () => void}} props */
function Empty({ env, owner, open }) {
  const busy = useSignal(false);
  const problem = useSignal("");
  const demo = async () => {
    busy.value = true;
    problem.value = "";
    await env.api.demo().then(
      (project) => env.go(`/project/${encodeURIComponent(project.id)}`),
      (error) => (problem.value = error.message),
    );
    busy.value = false;
  };
  return html`<section class="empty">
    <svg class="empty-art" viewBox="0 0 240 120" aria-hidden="true">
      <path d="M30 24 120 60M30 60h90M30 96 120 60M120 60h90" />
      <circle cx="30" cy="24" r="7" /><circle cx="30" cy="60" r="7" /><circle cx="30" cy="96" r="7" /><circle class="core" cx="120" cy="60" r="14" />
      <circle cx="210" cy="60" r="7" />
    </svg>
    <h2>${text.home.empty}</h2>
    <p>${owner ? text.home.emptyOwner : text.home.emptyVisitor}</p>
    ${owner &&
    html`<div class="empty-actions">
        <button type="button" class="primary" data-testid="make-demo" disabled=${busy.value} onClick=${demo}>${busy.value ? text.home.demoWorking : text.home.demo}</button>
        <button type="button" data-testid="first-project" onClick=${open}>${text.home.first}</button>
      </div>
      ${problem.value && html`<${Problem}>${problem.value}<//>`}`}
  </section>`;
}

/** @param {{env: Env, project: Project}} props */
function Card({ env, project }) {
  const { status } = project;
  const figures = [
    [text.stat.error, percent(status.error), ""],
    [text.stat.iteration, count(status.iteration), ""],
    [text.stat.powerShort, count(status.power), ""],
    [text.stat.trainers, count(status.trainers), ""],
  ];
  return html`
    <li class="card" data-testid="project-card" data-project=${project.id}>
      <div class="card-head">
        <h2><a data-testid="card-open" href=${`/project/${encodeURIComponent(project.id)}`}>${project.name}</a></h2>
        <${Badge} state=${status.state} />
      </div>
      <${Spark} env=${env} project=${project} />
      <dl class="card-figures">
        ${figures.map(([name, value, unit]) => html`<div><dt>${name}</dt><dd>${value}${unit && html`<span class="unit">${unit}</span>`}</dd></div>`)}
      </dl>
      <p class="card-foot">
        <span>${sentence(status.why) || (status.data_vectors ? text.data.summary(status.data_vectors, status.labels) : text.data.none)}</span>
        ${status.data_vectors > 0 &&
        html`<a class="card-link" data-testid="card-classify" href=${`/project/${encodeURIComponent(project.id)}/classify`} aria-label=${`${text.classify}: ${project.name}`}><${Icon} name="eye" />${text.classify}</a>`}
      </p>
    </li>
  `;
}

/** The error's way so far, as a small line. @param {{env: Env, project: Project}} props */
function Spark({ env, project }) {
  const errors = useSignal(/** @type {number[]} */ ([]));
  useEffect(() => {
    env.api.history(project.id).then(
      (points) => (errors.value = points.map((point) => point.error).filter((error) => error >= 0)),
      () => (errors.value = []), // a card without its line; the list itself reports what is wrong
    );
  }, [project.id, Math.floor(project.status.iteration / 10)]);
  const path = sparkPath(errors.value, 300, 48);
  return html`<svg class="spark" viewBox="0 0 300 48" preserveAspectRatio="none" aria-hidden="true">
    ${path ? html`<path class="spark-area" d=${`${path}L300 48L0 48Z`} /><path class="spark-line" d=${path} />` : html`<path class="spark-none" d="M0 47.5H300" />`}
  </svg>`;
}

/** A path through at most 100 means, from left to right, best at the bottom. @param {number[]} values @param {number} width @param {number} height */
export function sparkPath(values, width, height) {
  if (values.length < 2) return "";
  const n = Math.min(100, values.length);
  const means = Array.from({ length: n }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / n), Math.floor(((i + 1) * values.length) / n));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const top = Math.max(...means);
  return means.map((mean, i) => `${i ? "L" : "M"}${((i / (n - 1)) * width).toFixed(1)} ${(2 + (height - 4) * (1 - mean / (top || 1))).toFixed(1)}`).join("");
}
