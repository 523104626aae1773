export {unzipSync} from "fflate";
export {decode as decodePng} from "fast-png";
