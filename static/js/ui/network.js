// A network as a table: each layer with its options, output size and parameters.
import { bytes, count, flop, NONE } from "./format.js";
import { html } from "./preact.js";
import { bytesOf, describe, flopsOf, parameterCount, sum } from "./shapes.js";
import { text } from "./text.js";

/** @param {{layers: import("./types").Layer[], labels: number}} props */
export function NetworkTable({ layers, labels }) {
  const rows = describe(layers, labels || 10);
  const total = parameterCount(rows);
  const [operations, memory] = [flopsOf(rows), bytesOf(rows)];
  return html`
    <div class="table-scroll" tabindex="0" role="region" aria-label=${text.network.title}>
      <table class="layers">
        <thead>
          <tr>
            <th scope="col">${text.network.layer}</th>
            <th scope="col">${text.network.output}</th>
            <th scope="col" class="number">${text.network.parameters}</th>
            <th scope="col" class="number" title=${text.network.flopHint}>${text.network.operations}</th>
            <th scope="col" class="number" title=${text.network.memoryHint}>${text.network.memory}</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row, index) => html`<tr>
              <td>
                <span class="layer-type">${text.network.kinds[row.layer.type] ?? row.layer.type}</span>
                <span class="layer-options">${row.options || (row.grows ? text.network.perLabel : "")}</span>
              </td>
              <td class="number left">${row.shape.join("×") || NONE}</td>
              <td class="number">${row.parameters ? count(row.parameters) : ""}</td>
              <td class="number">${row.macs ? flop(operations[index]) : ""}</td>
              <td class="number">${bytes(memory[index])}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="table-foot">${labels ? text.network.total(total) : text.network.atLeast(total)}; ${text.network.cost(flop(sum(operations)), bytes(sum(memory)))}</p>
  `;
}
