// The classify page: show the newest network a picture, see what it sees and says, teach it.
import { PageHead, Problem } from "../parts.js";
import { html, useEffect, useMemo } from "../preact.js";
import { Gone, useProject } from "../project.js";
import { inputSize } from "../shapes.js";
import { sentence, text } from "../text.js";
import { AnswerPanel } from "./answer.js";
import { Network } from "./asking.js";
import { BatchPanel } from "./batch.js";
import { InsidePanel } from "./inside.js";
import { useLooking } from "./pictures.js";
import { Sources } from "./sources.js";
import { mayTeach, TeachPanel } from "./teach.js";
import { useTeaching } from "./teaching.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Project} Project */

/** How a project's pictures are made: its input's size, the resize of its first data. @param {Project | null} project @returns {import("./types").Input | null} */
function inputOf(project) {
  if (!project) return null;
  const mode = /** @type {import("./types").Input["mode"]} */ (project.datasets[0]?.mode ?? "crop");
  return { ...inputSize(project.layers), mode };
}

/** @param {{env: Env, device: import("./types").Device, id: string}} props */
export function ClassifyPage({ env, device, id }) {
  const { project, status, problem, load } = useProject(env, id);
  const teaching = useTeaching({ env, id, pause: device.pause });
  const network = useMemo(() => new Network(env, id), [id]);
  useEffect(() => network.start(), [network]);
  const name = project?.name ?? (env.named?.id === id ? env.named.name : "");
  useEffect(() => env.title(words.title(name)), [name]);
  const input = useMemo(() => inputOf(project), [project]);
  const looking = useLooking({ env, device, network, input });
  const teach = async (/** @type {string} */ label) => {
    const file = await looking.file();
    if (file) teaching.add(label, [file]);
  };
  if (env.live.removed.value === id) return html`<${Gone} sentence=${text.removed} />`;
  if (problem && !project) return html`<${Gone} sentence=${problem} />`;
  return html`
    <div class="page classify">
      <${PageHead} id=${id} title=${words.title(name)} lead=${words.lead} back=${words.back(name)} state=${status?.state} />
      ${network.problem.value && html`<${Problem}>${words.failed(sentence(network.problem.value))}<//>`}
      <div class="classify-grid">
        <${Sources} looking=${looking} live=${env.secure && device.camera !== null} ready=${input !== null} />
        <div class="classify-column">
          <${AnswerPanel} looking=${looking} input=${input} state=${stateOf(network, project)} teach=${mayTeach(env, project) ? teach : null} />
          ${project && html`<${TeachPanel} env=${env} project=${project} status=${status} looking=${looking} teaching=${teaching} teach=${teach} pause=${device.pause} onChanged=${load} />`}
        </div>
      </div>
      <div class="classify-more"><${InsidePanel} network=${network} input=${input} pixels=${looking.pixels} /><${BatchPanel} env=${env} device=${device} network=${network} input=${input} project=${name} /></div>
    </div>
  `;
}

/** @param {Network} network @param {Project | null} project */
function stateOf(network, project) {
  if (network.snapshot.value) return words.newest(network.snapshot.value.iteration);
  return project && !project.datasets.length ? words.noNetwork : words.fetching;
}
