// The one door to zipping in script; pack.d.ts beside it gives the minified bundle its types.
export { zipSync } from "../../../vendor/pack.js";
