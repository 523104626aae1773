"""`mlitb simulate`: what a master would do with so many workers.

Rules of this file:
- Parses, runs simulation.py, prints a table, JSON or a picture; every failure that a user can cause is one sentence.
- The picture is plain SVG: two curves over the number of workers, power and latency, as figure 4 of the paper.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mlitb.simulation import Model

MOST_WORKERS = 10_000
WIDTH, HEIGHT, EDGE = 720, 360, 60
COLUMNS = (
    "workers",
    "power",
    "latency_ms",
    "latency_95_ms",
    "iteration_s",
    "computed",
    "efficiency",
    "refused",
    "core_ms",
)


class Counts(click.ParamType[list[int]]):
    """A comma-separated list of numbers of workers."""

    name = "counts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Read "1,2,4"."""
        try:
            numbers = [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 1,8,96", param, ctx)
        if not all(1 <= number <= MOST_WORKERS for number in numbers):
            self.fail(f"workers must be from 1 to {MOST_WORKERS}", param, ctx)
        return numbers


@click.command()
@click.option(
    "--workers", type=Counts(), default="1,2,4,8,16,32,64,96", show_default=True, help="Numbers of workers to try."
)
@click.option("--period", default=4.0, show_default=True, help="T in seconds.")
@click.option("--parameters", default=31_786, show_default=True, help="Size of the network.")
@click.option("--vectors", default=60_000, show_default=True, help="Training data.")
@click.option("--capacity", default=3000, show_default=True, help="Vectors that a worker holds.")
@click.option("--power", default=2000.0, show_default=True, help="Median vectors a second of a device.")
@click.option("--power-spread", default=0.5, show_default=True, help="Spread of its logarithm.")
@click.option("--latency", default=20.0, show_default=True, help="Median milliseconds of one way.")
@click.option("--latency-spread", default=0.3, show_default=True, help="Spread of its logarithm.")
@click.option("--bandwidth", default=1000.0, show_default=True, help="The master's link, Mbit/s each way.")
@click.option("--churn", default=0.0, show_default=True, help="How often an hour a worker leaves and comes back.")
@click.option("--stragglers", default=0.0, show_default=True, help="Share of orders that a device sleeps over.")
@click.option("--iterations", default=15, show_default=True, help="Iterations to measure.")
@click.option("--local-steps", is_flag=True, help="Workers take steps of their own, so that little data is enough.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--train",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A zip of label folders: compute real gradients.",
)
@click.option(
    "--learning-rate",
    type=float,
    help="With --train: AdaGrad's, by default 0.01; with --local-steps SGD's over their differences, by default 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write a picture (SVG).")
def simulate(
    workers: list[int], as_json: bool, plot: Path | None, train: Path | None, bandwidth: float, latency: float,
    local_steps: bool, learning_rate: float | None, **options: Any,
) -> None:  # fmt: skip
    """Simulate a master with many workers: power, latency, and with --train the error."""
    from mlitb import collector
    from mlitb.core.refusal import Refusal
    from mlitb.simulation import Model

    usual: dict[str, Any] = {"learning_rate": 0.01}
    if local_steps:
        usual = {"optimizer": "sgd", "learning_rate": 1.0}  # plain averaging of the differences
    settings = {"local_steps": local_steps, **usual}
    if learning_rate is not None:
        settings["learning_rate"] = learning_rate
    model = Model(bandwidth=bandwidth * 125_000, latency=latency / 1000, settings=settings, **options)
    try:
        with collector.seldom():
            rows = [_run(replace(model, workers=number), train) for number in workers]
    except (Refusal, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if plot:
        plot.write_text(picture(rows))
    click.echo(json.dumps({"rows": rows}) if as_json else table(rows))


def _run(model: "Model", train: Path | None) -> dict[str, Any]:
    from mlitb.simulation import Simulation

    if train is None:
        return Simulation(model).run().row()
    from mlitb import resources
    from mlitb.engine import Engine
    from mlitb.simulation_training import Pictures, Training

    training = Training(Pictures(train, seed=model.seed), Engine(resources.engine()), {})
    simulation = Simulation(model, training)
    errors: dict[str, float] = {}

    def note(iteration: int) -> None:
        if iteration in (50, 100):
            errors[f"error_{iteration}"] = round(training.error(), 4)

    simulation.on_step = note
    return {**simulation.run().row(), **errors, "error": round(training.error(), 4)}


def table(rows: list[dict[str, Any]]) -> str:
    """Lay rows out for people."""
    columns = [*COLUMNS, *(key for key in rows[-1] if key not in COLUMNS)]
    cells = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def picture(rows: list[dict[str, Any]]) -> str:
    """Draw power and latency over the number of workers."""
    curves = [("power", "#0b6", "vectors/s"), ("latency_ms", "#c40", "ms")]
    drawn = "".join(_curve(rows, key, colour, unit, i) for i, (key, colour, unit) in enumerate(curves))
    ticks = "".join(
        f'<text x="{_x(rows, row):.0f}" y="{HEIGHT - EDGE + 18}" text-anchor="middle">{row["workers"]}</text>'
        for row in rows
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{drawn}{ticks}'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">workers</text></svg>\n'
    )


def _x(rows: list[dict[str, Any]], row: dict[str, Any]) -> float:
    most = max(int(row["workers"]) for row in rows)
    return EDGE + (WIDTH - 2 * EDGE) * int(row["workers"]) / most


def _curve(rows: list[dict[str, Any]], key: str, colour: str, unit: str, side: int) -> str:
    top = max(*(float(row[key]) for row in rows), 1e-9)
    points = [(_x(rows, row), HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * float(row[key]) / top) for row in rows]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    place, anchor = ((EDGE, "start"), (WIDTH - EDGE, "end"))[side]
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return (
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
        f'<text x="{place}" y="{EDGE - 24}" text-anchor="{anchor}" fill="{colour}">{key}: '
        f"up to {top:,.0f} {unit}</text>"
    )
