"""Three rounds of tests/soak.py: kill -9 of master, data server and both while two real browsers train."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent / "soak.py"


@pytest.mark.timeout(600)
def test_killed_servers_come_back_and_browsers_train_on_by_themselves(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SOAK), "--rounds", "3", "--json", "--folder", str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["victim"] for row in rows} == {"master", "data server", "both"}
    assert all(row["training_s"] <= 10 for row in rows)
    assert all(row["projects"] == number + 2 for number, row in enumerate(rows)), "the demo's and one for each round"
    log = (tmp_path / "servers.log").read_text()
    assert "Traceback" not in log, log
