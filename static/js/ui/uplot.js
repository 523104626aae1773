// The one door to uPlot; uplot.d.ts beside it gives the minified bundle its types.
export { default } from "../../vendor/uplot.js";
