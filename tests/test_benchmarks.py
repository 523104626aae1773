"""A smoke run of each benchmark: it runs alone, and says what it measured in one JSON object."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "report"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_quick_run_says_what_it_measured(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path), "--quick", "--json"], capture_output=True, text=True, cwd="/", timeout=240
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["machine"]["cpu"]
    assert found["rows"]
    for check in found["checks"]:
        assert set(check) == {"name", "value", "bound", "holds"}
