"""Check the JavaScript's types: `tsc --noEmit --strict` over static/js, with the pinned TypeScript."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hatch_build import npm  # noqa: E402 - the checkout's own build file


def main() -> int:
    """Install the pinned packages when they are missing or out of date, and run the compiler."""
    marker = ROOT / "node_modules/.package-lock.json"
    lock = ROOT / "package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([*npm(), "ci", "--no-progress"], cwd=ROOT, check=True)
    return subprocess.run([str(ROOT / "node_modules/.bin/tsc"), "--project", str(ROOT)], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
