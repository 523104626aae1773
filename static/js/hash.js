// The one door to SHA-256 (plain HTTP pages have no crypto.subtle); hash.d.ts beside it gives the minified bundle its types.
export {bytesToHex, sha256} from "../vendor/hash.js";
