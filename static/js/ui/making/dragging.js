// Rows of a list are dragged by their grips, by mouse and by touch. SortableJS moves them in the document, which Preact owns: when one is
// dropped that is undone, and what it meant is told, so that the row is drawn at its new place like after any other change.
import { useEffect, useRef, useSignal } from "../preact.js";

const GLIDE_MS = 140;

/** @param {(from: number, to: number) => void} move @returns what the list takes as its `ref`, and whether rows can be dragged yet */
export function useDragging(move) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const newest = useRef(move);
  newest.current = move;
  const ready = useSignal(false);
  useEffect(() => {
    let left = false;
    let end = () => {};
    import("../sortable.js").then(
      ({ default: Sortable }) => {
        if (left || !list.current) return;
        const sortable = Sortable.create(list.current, { ...OPTIONS, animation: glide(), onChoose: leaveField, onEnd: (dropped) => told(dropped, newest.current) });
        end = () => sortable.destroy();
        ready.value = true;
      },
      () => (ready.value = false), // rows are moved by their buttons, as on a keyboard
    );
    return () => {
      left = true;
      end();
    };
  }, []);
  return { list, ready: ready.value };
}

/** One way for mouse and touch, with the row itself under the finger. It goes before a row in whose upper half it is held, else behind it: rows differ in height. */
const OPTIONS = { draggable: ".editor-row.free", handle: ".grip", forceFallback: true, invertSwap: true, ghostClass: "landing", fallbackClass: "lifted" };

/** A field that still has the focus takes what was typed; and a phone does not scroll back to it when the row begins to move. */
function leaveField() {
  const { activeElement } = document;
  if (activeElement instanceof HTMLElement) activeElement.blur();
}

const glide = () => (window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : GLIDE_MS);

/** @param {import("../sortable.js").Dropped} dropped @param {(from: number, to: number) => void} move */
function told({ item, from, oldIndex = -1, newIndex = -1 }, move) {
  item.remove();
  from.insertBefore(item, from.children[oldIndex] ?? null);
  if (oldIndex !== newIndex) move(oldIndex, newIndex);
}
