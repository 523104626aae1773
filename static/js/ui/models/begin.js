// A new project from a model file: the server reads it, says what it is, or what is wrong with it.
import { Icon } from "../icons.js";
import { Field, Problem } from "../parts.js";
import { html, useId, useSignal } from "../preact.js";
import { sentence, text } from "../text.js";
import { Freeze } from "./freeze.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").ModelFile} ModelFile */
/** @typedef {"continue" | "transfer"} How */

/** @param {{env: Env, begin: import("../preact.js").ComponentChildren, close: () => void}} props `begin`: the choice that led here, to go back */
export function FromModel({ env, begin, close }) {
  const file = useSignal(/** @type {File | null} */ (null));
  const found = useSignal(/** @type {ModelFile | null} */ (null));
  const name = useSignal("");
  const how = useSignal(/** @type {How} */ ("continue"));
  const frozen = useSignal(/** @type {string[]} */ ([]));
  const problem = useSignal("");
  const busy = useSignal("");
  const failed = (/** @type {Error} */ error) => (problem.value = error.message);
  const choose = async (/** @type {File} */ chosen) => {
    [file.value, found.value, frozen.value, problem.value] = [chosen, null, [], ""];
    if (chosen.size > env.config.max_model_bytes) return void (problem.value = words.tooLong(chosen.name, chosen.size, env.config.max_model_bytes));
    busy.value = words.reading;
    await env.api.inspect(chosen).then((model) => {
      found.value = model;
      name.value ||= model.name.slice(0, 100);
      if (model.hindrance) how.value = "continue";
    }, failed);
    busy.value = "";
  };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!file.value || !found.value || busy.value) return;
    if (!name.value.trim()) return void (problem.value = words.nameMissing);
    [problem.value, busy.value] = ["", words.working];
    await env.api.fromModel(file.value, name.value.trim(), how.value, how.value === "transfer" ? frozen.value : []).then((made) => {
      close();
      env.go(`/project/${encodeURIComponent(made.id)}`);
    }, failed);
    busy.value = "";
  };
  return html`
    <form class="sheet-form" onSubmit=${submit} noValidate>
      <div class="sheet-scroll">
        ${begin}
        <${Choose} chosen=${file.value} choose=${choose} />
        <p role="status" class=${busy.value ? "quiet-line" : "sr-only"}>${busy.value}</p>
        ${found.value && html`<${Found} model=${found.value} name=${name} how=${how} frozen=${frozen} />`}
        ${problem.value && html`<${Problem}>${sentence(problem.value)}<//>`}
      </div>
      <div class="dialog-foot">
        <button type="button" class="plain" data-testid="cancel" onClick=${close}>${text.cancel}</button>
        <button type="submit" class="primary" data-testid="create-from-model" disabled=${!found.value || !!busy.value}>${words.create}</button>
      </div>
    </form>
  `;
}

/** @param {{chosen: File | null, choose: (file: File) => void}} props */
function Choose({ chosen, choose }) {
  const id = useId();
  const read = (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (input.files?.[0]) choose(input.files[0]);
    input.value = "";
  };
  return html`<div class="choose-file">
    <input id=${id} class="sr-only" type="file" accept=".json,application/json" data-testid="model-file" aria-describedby=${`${id}-note`} onChange=${read} />
    <label class="button" for=${id}><${Icon} name="upload" />${words.choose}</label>
    <span>${chosen?.name}</span>
    <p class="field-note" id=${`${id}-note`}>${words.chooseHint}</p>
  </div>`;
}

/**
 * What the server found in the file, and what is to be done with it.
 * @param {{model: ModelFile, name: import("../preact.js").Signal<string>, how: import("../preact.js").Signal<How>, frozen: import("../preact.js").Signal<string[]>}} props
 */
function Found({ model, name, how, frozen }) {
  const typed = (/** @type {Event} */ event) => (name.value = /** @type {HTMLInputElement} */ (event.target).value);
  const goesOn = how.value === "continue";
  return html`
    <p class="quiet-line" data-testid="model-found">${words.what(model.parameters, model.labels, model.iteration)}</p>
    <${Field} label=${words.name} control=${(/** @type {object} */ tied) => html`<input ...${tied} type="text" maxlength="100" autocomplete="off" data-testid="model-name" value=${name.value} onInput=${typed} />`} />
    <fieldset class="segments">
      <legend>${words.how}</legend>
      ${/** @type {[How, string][]} */ (Object.entries(words.hows)).map(
        ([id, label]) => html`<label>
          <input type="radio" name="how" data-testid=${`how-${id}`} checked=${how.value === id} disabled=${id === "transfer" && !!model.hindrance} onChange=${() => (how.value = id)} />
          <span>${label}</span>
        </label>`,
      )}
      <p class="segments-hint">${goesOn ? `${words.continueHint} ${model.optimizer ? words.withState : words.withoutState}` : words.transferHint}</p>
      ${model.hindrance && html`<p class="segments-hint">${sentence(model.hindrance)}</p>`}
    </fieldset>
    ${!goesOn && html`<${Freeze} layers=${model.freezable} chosen=${frozen} />`}
  `;
}
