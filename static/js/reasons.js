// Every sentence that the boss and its workers say to people, in one place, ready for translation; the page's own are in ui/text.js.
// What only a fault of the code can cause (an unknown message, a wrong argument, a frame of no known format) is said where it is found.

const BROWSERS = "use Chrome or Edge 91, Firefox 114, Safari 16.4 or newer";
const short = (/** @type {string} */ hash) => `${hash.slice(0, 8)}…`;

export const reasons = {
  server: {
    silent: "the server has been silent for too long",
    noAnswer: "the server does not answer",
    answers: (/** @type {number} */ status) => `the server answers ${status}`,
    text: "the server sent text where a binary frame belongs",
    unusable: (/** @type {string} */ why) => `a message of the server could not be used: ${why}`,
    noConnection: "there is no connection to the server",
    lost: "the connection to the server was lost",
    fullLink: "the link takes no more data",
    /** @type {{[code: number]: string}} of WebSocket's codes */
    closes: {1001: "the server is stopping", 1011: "the server has a problem", 1012: "the server restarts", 1013: "the server is busy"},
  },
  engine: {
    answers: (/** @type {number} */ status) => `the server answers ${status} for the engine`,
    other: (/** @type {string} */ came, /** @type {string} */ wanted) => `the engine came with the hash ${short(came)}, not ${short(wanted)}`,
  },
  device: {
    noNested: `This browser lacks Web Workers inside Web Workers: ${BROWSERS}.`,
    unknownSystem: "an unknown system",
    aBrowser: "a browser",
    named: (/** @type {string} */ browser, /** @type {string} */ system, /** @type {number} */ cores) => `${browser} on ${system}, ${cores || "?"} cores`,
  },
  worker: {
    noScript: "its script could not be loaded",
    saidNothing: "it said nothing",
    noNumber: (/** @type {number} */ iteration) => `the loss at iteration ${iteration} is not a finite number: nothing was reported`,
    noParameters: "no parameters have come yet",
  },
  answer: {
    busyLink: "not sent: the answer before is still on its way. This link is slower than an answer takes: a longer T or a smaller network helps",
    leftOut: (/** @type {string} */ why) => `left out: its answer was ${why}`,
    superseded: "left out: newer orders came before its answer",
    length: "of a wrong length",
    notFinite: "not finite, or too large to be squared",
  },
  data: {
    stopped: (/** @type {string} */ why) => `the data worker stopped: ${why}`,
    otherBytes: (/** @type {string} */ hash) => `shard ${short(hash)} came with other bytes than its name says`,
    answers: (/** @type {number} */ status, /** @type {string} */ hash) => `the data server answers ${status} for shard ${short(hash)}`,
    noServer: (/** @type {string} */ address) =>
      `the data server at ${address} cannot be reached${address.startsWith("https:") ? "; if your browser warned about the server's certificate, open that address once and accept it there, too" : ""}`,
    noManifest: "a shard without manifest.json",
    noPicture: (/** @type {number} */ count, /** @type {string} */ name) => `a shard of ${count} pictures without ${name}`,
    otherPicture: (/** @type {string} */ name, /** @type {string} */ found, /** @type {string} */ size) => `${name} is ${found}; its shard says ${size}, 8 bits`,
  },
  cache: {
    none: "this browser has no IndexedDB here",
    gaveUp: "IndexedDB gave up",
    held: "another tab holds an older database",
    noAnswer: "IndexedDB does not answer",
  },
};
