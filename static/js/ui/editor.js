// The visual layer editor: a row for each layer with its options, output size and cost; drag, move, remove, add, undo.
import { bytes, flop, NONE } from "./format.js";
import { Icon } from "./icons.js";
import { added, changed, isFree, moved, OPTIONS, PALETTE, readOption, removed, showOption } from "./layers.js";
import { useDragging } from "./making/dragging.js";
import { editing } from "./making/text.js";
import { html } from "./preact.js";
import { problemsOf } from "./making/checks.js";
import { bytesOf, describe, flopsOf, parameterCount, sources, sum } from "./shapes.js";
import { layerWords as learning } from "./training/text.js";
import { text } from "./text.js";
import { LearningFields, multiple } from "./tuning.js";
import { TypedInput } from "./typed.js";

/** @typedef {import("./types").Layer} Layer @typedef {import("./shapes.js").Row} Row @typedef {import("./layers.js").Option} Option */
/** @typedef {{layers: Layer[], past: Layer[][], future: Layer[][]}} Edits */
/** @typedef {{edits: Edits, set: (edits: Edits) => void, problem?: string}} Props */

const words = text.network;
const ASSUMED_LABELS = 10; // until there is data nobody knows how many there will be

/** @param {Edits} edits @param {Layer[]} layers @returns {Edits} */
const step = (edits, layers) => ({ layers, past: [...edits.past, edits.layers], future: [] });
/** @param {Edits} edits @returns {Edits} */
const undone = ({ layers, past, future }) => ({ layers: past[past.length - 1], past: past.slice(0, -1), future: [layers, ...future] });
/** @param {Edits} edits @returns {Edits} */
const redone = ({ layers, past, future }) => ({ layers: future[0], past: [...past, layers], future: future.slice(1) });

/** @param {Props} props */
export function LayerEditor({ edits, set, problem = "" }) {
  const rows = describe(edits.layers, ASSUMED_LABELS);
  const problems = problemsOf(rows);
  const edit = (/** @type {Layer[]} */ layers) => set(step(edits, layers));
  const move = (/** @type {number} */ from, /** @type {number} */ to) => edit(moved(edits.layers, from, to));
  const { list, ready } = useDragging(move);
  const named = rows.findIndex((row) => problem.toLowerCase().startsWith(`${row.name}:`.toLowerCase()));
  return html`
    <div class="editor">
      <${Tools} edits=${edits} set=${set} />
      <ol ref=${list} class=${ready ? "editor-rows ready" : "editor-rows"}>
        ${rows.map(
          (_, index) => html`<li
            key=${index}
            class=${`editor-row ${isFree(edits.layers, index) ? "free" : ""} ${problems[index] || named === index ? "bad" : ""}`}
            data-testid="layer-row"
          >
            <${LayerRow} rows=${rows} index=${index} layers=${edits.layers} edit=${edit} move=${move} />
            ${(problems[index] || named === index) && html`<p class="field-note bad" role="alert">${named === index ? problem : problems[index]}</p>`}
          </li>`,
        )}
      </ol>
      <${Palette} edit=${edit} layers=${edits.layers} />
      <${Totals} rows=${rows} />
      ${problem && named < 0 && html`<p class="field-note bad" role="alert">${problem}</p>`}
    </div>
  `;
}

/** @param {Props} props */
const Tools = ({ edits, set }) => html`
  <div class="editor-tools">
    <span class="editor-head">${words.layer}</span>
    <span class="grow"></span>
    <button type="button" class="quiet small" data-testid="undo" disabled=${!edits.past.length} onClick=${() => set(undone(edits))}>${editing.undo}</button>
    <button type="button" class="quiet small" data-testid="redo" disabled=${!edits.future.length} onClick=${() => set(redone(edits))}>${editing.redo}</button>
  </div>
`;

/** @param {{rows: Row[], index: number, layers: Layer[], edit: (layers: Layer[]) => void, move: (from: number, to: number) => void}} props */
function LayerRow({ rows, index, layers, edit, move }) {
  const row = rows[index];
  const kind = words.kinds[row.layer.type] ?? row.layer.type;
  const name = `${kind} ${index}`;
  const free = isFree(layers, index);
  const change = (/** @type {Option} */ option, /** @type {string} */ typed) => edit(changed(layers, index, { type: row.layer.type, [option.key]: readOption(typed, option) }));
  return html`
    <div class="editor-line">
      ${free
        ? html`<span class="grip" title=${editing.drag} aria-hidden="true">⠿</span>`
        : html`<span class="grip none" aria-hidden="true"></span>`}
      <span class="layer-type">${kind}</span>
      <span class="layer-shape number">${row.shape.join("×") || NONE}</span>
      ${free && html`<${Moves} name=${name} first=${index === 1} last=${index === layers.length - 2} up=${() => move(index, index - 1)} down=${() => move(index, index + 1)} drop=${() => edit(removed(layers, index))} />`}
      ${!free && html`<span class="editor-moves none"></span>`}
    </div>
    <${Figures} rows=${rows} index=${index} />
    ${OPTIONS[row.layer.type] &&
    html`<div class="editor-options">
      ${OPTIONS[row.layer.type].map((option) => {
        const given = { option, of: name, value: row.layer[option.key], set: (/** @type {string} */ typed) => change(option, typed) };
        if (option.choices) return given.value !== undefined && html`<${ChoiceField} key=${option.key} ...${given} choices=${option.choices.map((id) => [id, editing.choice[id]])} />`;
        if (option.earlier) return html`<${ChoiceField} key=${option.key} ...${given} choices=${sources(rows, index).map((source) => [source.name, whoIs(rows, source)])} />`;
        return html`<${OptionField} key=${option.key} ...${given} />`;
      })}
    </div>`}
    ${row.parameters > 0 && html`<${Learning} row=${row} name=${name} set=${(/** @type {Partial<Layer>} */ more) => edit(changed(layers, index, { type: row.layer.type, ...more }))} />`}
  `;
}

/** What a layer is called, and what it costs. @param {{rows: Row[], index: number}} props */
function Figures({ rows, index }) {
  const { name, grows, parameters, macs, shape } = rows[index];
  const figures = [
    [grows ? `${name}, ${words.perLabel}` : name, ""],
    [parameters ? words.total(parameters) : "", ""],
    [macs ? flop(flopsOf(rows)[index]) : "", words.flopHint],
    [shape.length ? bytes(bytesOf(rows)[index]) : "", words.memoryHint],
  ];
  return html`<p class="editor-figures" data-testid="layer-figures">
    ${figures.filter(([figure]) => figure).map(([figure, hint]) => html`<span title=${hint || null}>${figure}</span>`)}
  </p>`;
}

/** How this layer learns; closed, because most networks do without. @param {{row: Row, name: string, set: (more: Partial<Layer>) => void}} props */
function Learning({ row, name, set }) {
  const { layer } = row;
  const change = (/** @type {import("./tuning.js").Tuning} */ { learning_rate, l2, frozen }) => {
    const typed = { ...(learning_rate !== undefined && { learning_rate: Number(learning_rate) }), ...(l2 !== undefined && { l2: Number(l2) }), ...(frozen !== undefined && { frozen: frozen || undefined }) };
    set(typed);
  };
  const departs = layer.frozen || multiple(layer, "learning_rate") !== 1 || multiple(layer, "l2") !== 1;
  return html`<details class="editor-learning" open=${!!departs}>
    <summary><${Icon} name="chevron" />${learning.learning}</summary>
    <div class="editor-options">
      <${LearningFields} name=${name} rate=${String(multiple(layer, "learning_rate"))} decay=${String(multiple(layer, "l2"))} frozen=${!!layer.frozen} change=${change} />
    </div>
  </details>`;
}

/** @param {{option: Option, of: string, value: unknown, set: (typed: string) => void}} props */
const OptionField = ({ option, of, value, set }) => html`
  <label>
    <span>${editing.option[option.key] ?? option.key}</span>
    <${TypedInput} type="text" inputmode="decimal" aria-label=${`${editing.option[option.key] ?? option.key}: ${of}`} placeholder=${option.auto ? editing.auto : option.blank ?? (option.key === "stride" ? editing.asWindow : "")} value=${showOption(value)} set=${set} />
  </label>
`;

/** A layer as people call it. @param {Row[]} rows @param {Row} row */
const whoIs = (rows, row) => `${words.kinds[row.layer.type] ?? row.layer.type} ${rows.indexOf(row)}`;

/** What can be chosen; what was chosen and is no longer possible stands there, too. @param {{option: Option, of: string, value: unknown, choices: [string, string][], set: (typed: string) => void}} props */
function ChoiceField({ option, of, value, choices, set }) {
  const chosen = showOption(value);
  const all = choices.some(([id]) => id === chosen) ? choices : [/** @type {[string, string]} */ ([chosen, chosen || editing.none]), ...choices];
  return html`<label>
    <span>${editing.option[option.key]}</span>
    <select aria-label=${`${editing.option[option.key]}: ${of}`} value=${chosen} onChange=${(/** @type {any} */ event) => set(event.target.value)}>
      ${all.map(([id, label]) => html`<option key=${id} value=${id}>${label}</option>`)}
    </select>
  </label>`;
}

/** @param {{name: string, first: boolean, last: boolean, up: () => void, down: () => void, drop: () => void}} props */
const Moves = ({ name, first, last, up, down, drop }) => html`
  <span class="editor-moves">
    <button type="button" class="quiet icon-only small turned" aria-label=${editing.up(name)} disabled=${first} onClick=${up}><${Icon} name="chevron" /></button>
    <button type="button" class="quiet icon-only small" aria-label=${editing.down(name)} disabled=${last} onClick=${down}><${Icon} name="chevron" /></button>
    <button type="button" class="quiet icon-only small" aria-label=${editing.drop(name)} onClick=${drop}><${Icon} name="close" /></button>
  </span>
`;

/** @param {{edit: (layers: Layer[]) => void, layers: Layer[]}} props */
const Palette = ({ edit, layers }) => html`
  <fieldset class="palette">
    <legend>${editing.add}<span class="summary-note">${editing.addHint}</span></legend>
    ${PALETTE.map(
      (layer) => html`<button type="button" class="small" data-testid=${`add-${layer.type}`} onClick=${() => edit(added(layers, layer))}>${words.kinds[layer.type]}</button>`,
    )}
  </fieldset>
`;

/** @param {{rows: Row[]}} props */
const Totals = ({ rows }) => html`
  <p class="table-foot" data-testid="network-total">${words.atLeast(parameterCount(rows))}; ${words.cost(flop(sum(flopsOf(rows))), bytes(sum(bytesOf(rows))))}</p>
`;
