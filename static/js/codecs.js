// The one door to zip and PNG in script; codecs.d.ts beside it gives the minified bundle its types.
export {decodePng, unzipSync} from "../vendor/unpack.js";
