// The one door to Preact, htm and signals; preact.d.ts beside it gives the minified bundle its types.
export * from "../../vendor/preact.js";
