// What is used of SortableJS 1.15, which brings no types.
export type Dropped = { item: HTMLElement; from: HTMLElement; oldIndex?: number; newIndex?: number };
export type Options = {
  draggable: string;
  handle: string;
  animation: number;
  forceFallback: boolean;
  ghostClass: string;
  fallbackClass: string;
  invertSwap: boolean;
  onChoose: () => void;
  onEnd: (dropped: Dropped) => void;
};
declare const Sortable: { create(list: HTMLElement, options: Options): { destroy(): void } };
export default Sortable;
