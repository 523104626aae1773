// The first script, in plain old JavaScript: it names in one sentence what a browser lacks, before anything is downloaded.
// Where nothing is lacking it starts the page's module (module workers are checked there, by the boss itself).
(function () {
  "use strict";
  // A module that adds two vectors: it validates only where WebAssembly knows SIMD.
  var simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

  function lacks() {
    if (!("noModule" in HTMLScriptElement.prototype)) return "JavaScript modules";
    if (typeof Worker !== "function") return "Web Workers";
    if (typeof WebAssembly !== "object") return "WebAssembly";
    return WebAssembly.validate(new Uint8Array(simd)) ? "" : "WebAssembly SIMD";
  }

  var missing = lacks();
  var note = document.getElementById("lacking");
  if (missing && note) {
    note.hidden = false;
    note.textContent = String(note.textContent).replace("{missing}", missing);
    return;
  }
  var script = document.createElement("script");
  script.type = "module";
  script.src = "/static/js/entry/page.js";
  document.head.appendChild(script);
})();
