"""Bundle what only the browser tests need (mocha, chai) into tests/browser/vendor; `python -m` of this file does it."""

from pathlib import Path

import hatch_build

ROOT = Path(hatch_build.__file__).resolve().parent
VENDOR = Path(__file__).resolve().parent / "vendor"

MODULES = {
    "chai.js": 'export {expect, assert} from "chai";',
    "make.js": 'export {zipSync} from "fflate"; export {encode as encodePng} from "fast-png";',
}
COPIES = {"mocha.js": "mocha/mocha.js", "axe.js": "axe-core/axe.min.js"}


def build_test_vendor() -> Path:
    """Make the bundles when package-lock.json changed since the last time; return their folder."""
    hatch_build.build_vendor(ROOT, VENDOR, MODULES, COPIES)
    return VENDOR


if __name__ == "__main__":
    build_test_vendor()
