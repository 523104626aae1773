// The one door to tus-js-client, loaded only when an upload begins.
export { Upload } from "../../vendor/tus.js";
