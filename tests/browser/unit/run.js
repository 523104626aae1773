// Runs the test file named by ?file=… with mocha and leaves the outcome, as JSON, in #outcome for test_unit.py.

/** @param {{passed: string[], failed: string[]}} outcome */
function tell(outcome) {
  const element = document.createElement("pre");
  element.id = "outcome";
  element.textContent = JSON.stringify({...outcome, facts: globalThis.facts ?? {}});
  document.body.append(element);
}

mocha.setup({ui: "bdd", timeout: 20000, reporter: class {
  /** @param {Mocha.Runner} runner */
  constructor(runner) {
    const passed = [], failed = [];
    runner.on("pass", test => passed.push(test.fullTitle()));
    runner.on("fail", (test, error) => failed.push(`${test.fullTitle()}\n    ${error}\n    ${error.stack}`));
    runner.on("end", () => tell({passed, failed}));
  }
}});

const file = new URLSearchParams(location.search).get("file");
try {
  await import(`/unit/${file}`);
  mocha.run();
} catch (error) {
  tell({passed: [], failed: [`loading ${file}\n    ${error}\n    ${error.stack}`]});
}
