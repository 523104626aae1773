// Take a model away in one of its forms, say what it is, or start a new project from it.
import { Icon } from "../icons.js";
import { Field, Problem } from "../parts.js";
import { html, useEffect, useSignal } from "../preact.js";
import { describe } from "../shapes.js";
import { sentence } from "../text.js";
import { Freeze } from "./freeze.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Project} Project */

/** @param {{env: Env, project: Project, close: () => void, onSaved: () => void}} props */
export function TakeModel({ env, project, close, onSaved }) {
  const owner = env.live.owner.value;
  return html`
    <div class="sheet-scroll">
      <${Forms} env=${env} id=${project.id} />
      ${owner && html`<${Anew} env=${env} project=${project} close=${close} />`} ${owner && html`<${AboutForm} env=${env} project=${project} onSaved=${onSaved} />`}
    </div>
  `;
}

/** @param {{env: Env, id: string}} props */
function Forms({ env, id }) {
  const forms = useSignal(/** @type {{form: string, name: string}[]} */ ([]));
  const problem = useSignal("");
  useEffect(() => {
    env.api.forms().then(
      (found) => (forms.value = found),
      (error) => (problem.value = words.formsFailed(error.message)),
    );
  }, [id]);
  return html`
    <section>
      <p class="quiet-line">${words.takeLead}</p>
      <ul class="forms">
        <${Form} url=${env.api.modelUrl(id)} name=${words.json} note=${words.jsonNote} id="json" />
        <${Form} url=${env.api.modelUrl(id, true)} name=${words.optimizer} note=${words.optimizerNote} id="optimizer" />
        ${forms.value.map(({ form, name }) => html`<${Form} key=${form} url=${env.api.exportUrl(id, form)} name=${name} note=${words.notes[form] ?? ""} id=${form} />`)}
      </ul>
      ${problem.value && html`<${Problem}>${problem.value}<//>`}
    </section>
  `;
}

/** @param {{url: string, name: string, note: string, id: string}} props */
const Form = ({ url, name, note, id }) => html`
  <li>
    <a href=${url} download data-testid=${`form-${id}`}><${Icon} name="download" />${name}</a>
    <p class="field-note">${note}</p>
  </li>
`;

/** @param {{env: Env, project: Project, close: () => void}} props */
function Anew({ env, project, close }) {
  const layers = describe(project.layers, project.labels.length || 1)
    .filter(({ parameters }) => parameters)
    .map(({ name }) => name)
    .slice(0, -1);
  const name = useSignal(words.anewName(project.name));
  const frozen = useSignal(/** @type {string[]} */ ([]));
  const problem = useSignal("");
  const busy = useSignal(false);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!name.value.trim()) return void (problem.value = words.nameMissing);
    busy.value = true;
    problem.value = "";
    await env.api.transfer(project.id, name.value.trim(), frozen.value).then(
      (made) => (close(), env.go(`/project/${encodeURIComponent(made.id)}`)),
      (error) => (problem.value = error.message),
    );
    busy.value = false;
  };
  return html`
    <form class="model-form" onSubmit=${submit} noValidate>
      <h3>${words.anew}</h3>
      <p class="quiet-line">${words.anewLead}</p>
      <${Text} label=${words.name} value=${name.value} set=${(/** @type {string} */ value) => (name.value = value)} id="transfer-name" most=${100} />
      <${Freeze} layers=${layers} chosen=${frozen} />
      ${problem.value && html`<${Problem}>${sentence(problem.value)}<//>`}
      <div><button type="submit" class="primary" data-testid="transfer" disabled=${busy.value}>${busy.value ? words.working : words.create}</button></div>
    </form>
  `;
}

/** @param {{env: Env, project: Project, onSaved: () => void}} props */
function AboutForm({ env, project, onSaved }) {
  const about = useSignal({ ...project.about });
  const problem = useSignal("");
  const said = useSignal("");
  const set = (/** @type {"description" | "author" | "licence"} */ key) => (/** @type {string} */ value) => {
    about.value = { ...about.value, [key]: value };
    said.value = "";
  };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    problem.value = "";
    await env.api.describe(project.id, about.value).then(
      () => ((said.value = words.saved), onSaved()),
      (error) => (problem.value = error.message),
    );
  };
  return html`
    <form class="model-form" onSubmit=${submit} noValidate>
      <h3>${words.about}</h3>
      <p class="quiet-line">${words.aboutHint}</p>
      <${Field}
        label=${words.description}
        control=${(/** @type {object} */ tied) => html`<textarea ...${tied} class="prose" rows="3" maxlength="10000" data-testid="about-description" value=${about.value.description} onInput=${heard(set("description"))}></textarea>`}
      />
      <${Text} label=${words.author} value=${about.value.author} set=${set("author")} id="about-author" most=${1000} />
      <${Text} label=${words.licence} hint=${words.licenceHint} value=${about.value.licence} set=${set("licence")} id="about-licence" most=${1000} />
      ${problem.value && html`<${Problem}>${sentence(problem.value)}<//>`}
      <div class="row"><button type="submit" data-testid="about-save">${words.save}</button><span role="status">${said.value}</span></div>
    </form>
  `;
}

/** @param {(value: string) => void} set */
const heard = (set) => (/** @type {Event} */ event) => set(/** @type {HTMLInputElement | HTMLTextAreaElement} */ (event.target).value);

/** @param {{label: string, hint?: string, value: string, set: (value: string) => void, id: string, most: number}} props */
const Text = ({ label, hint, value, set, id, most }) => html`
  <${Field} label=${label} hint=${hint} control=${(/** @type {object} */ tied) => html`<input ...${tied} type="text" maxlength=${most} autocomplete="off" data-testid=${id} value=${value} onInput=${heard(set)} />`} />
`;
