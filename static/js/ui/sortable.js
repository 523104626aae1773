// The one door to SortableJS, fetched with the layer editor; sortable.d.ts beside it gives the minified bundle its types.
export { default } from "../../vendor/sortable.js";
