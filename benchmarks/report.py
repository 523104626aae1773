"""What every benchmark says, and how: a table for people, one JSON object with --json."""

import json
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CPU_WIDTHS = (("avx512f", 512), ("avx2", 256), ("sse2", 128))


@dataclass(frozen=True, slots=True)
class Check:
    """One bound: a measured value, what it is held against, and whether it holds."""

    name: str
    value: float
    bound: float
    holds: bool


@dataclass(slots=True)
class Report:
    """One run of one benchmark."""

    title: str
    notes: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def at_most(self, name: str, value: float, bound: float) -> None:
        """Check that a value is at most its bound."""
        self.checks.append(Check(name, value, bound, value <= bound))

    def at_least(self, name: str, value: float, bound: float) -> None:
        """Check that a value is at least its bound."""
        self.checks.append(Check(name, value, bound, value >= bound))

    def print(self, as_json: bool) -> None:
        """Print the report."""
        if as_json:
            checks = [asdict(check) for check in self.checks]
            print(json.dumps({"machine": machine(), "notes": self.notes, "rows": self.rows, "checks": checks}))
            return
        print(f"{self.title}\n{describe(machine())}")
        for note in self.notes:
            print(note)
        print(table(self.rows))
        for check in self.checks:
            print(f"{'holds' if check.holds else 'FAILS'}  {check.name}: {check.value:.4g} (bound {check.bound:.4g})")


def machine() -> dict[str, Any]:
    """Describe the CPU and its vector width."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    flags = named.get("flags", "").split()
    width = next((bits for flag, bits in CPU_WIDTHS if flag in flags), 128)
    cpu = named.get("model name", platform.processor() or platform.machine())
    return {"cpu": cpu, "vector_bits": width, "cores": text.count("processor\t"), "system": platform.platform()}


def describe(found: dict[str, Any]) -> str:
    """Say what machine it was in one line."""
    return f"{found['cpu']}, {found['cores']} cores, {found['vector_bits']}-bit vectors, {found['system']}"


def table(rows: list[dict[str, Any]]) -> str:
    """Lay rows of equal keys out in columns."""
    if not rows:
        return "(no rows)"
    heads = list(rows[0])
    cells = [[_cell(row[head]) for head in heads] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(heads, *cells, strict=True)]
    lines = ["  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in [heads, *cells]]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
