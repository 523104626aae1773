// The first script, in plain old JavaScript: it names in one sentence what a browser lacks, before anything else is downloaded.
// Where nothing is lacking it lets the page's modules be fetched, all at once, and starts the first.
(function () {
  "use strict";
  if (typeof document === "undefined") return self.close(); // the worker by which module workers are looked for
  var here = /** @type {HTMLScriptElement} */ (document.currentScript).src;
  // A module that adds two vectors: it validates only where WebAssembly knows SIMD.
  var simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

  // Who does not know module workers never asks for the type. The script is this one, which the browser has already.
  function moduleWorkers() {
    var asked = false;
    var options = Object.defineProperty({}, "type", {
      get: function () {
        asked = true;
        return "module";
      },
    });
    new Worker(here, options);
    return asked;
  }

  function lacks() {
    if (!("noModule" in HTMLScriptElement.prototype)) return "JavaScript modules";
    if (typeof Worker !== "function") return "Web Workers";
    if (typeof WebAssembly !== "object") return "WebAssembly";
    if (!WebAssembly.validate(new Uint8Array(simd))) return "WebAssembly SIMD";
    return moduleWorkers() ? "" : "module workers";
  }

  var missing = lacks();
  var note = document.getElementById("lacking");
  if (missing && note) {
    note.hidden = false;
    note.textContent = String(note.textContent).replace("{missing}", missing);
    return;
  }
  var links = document.querySelectorAll("link[data-module]");
  for (var i = 0; i < links.length; i++) {
    links[i].setAttribute("href", String(links[i].getAttribute("data-module")));
    links[i].setAttribute("rel", "modulepreload");
  }
  var script = document.createElement("script");
  script.type = "module";
  script.src = here.replace("baseline.js", "page.js");
  document.head.appendChild(script);
})();
