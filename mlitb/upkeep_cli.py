"""Commands of the operator: backup, restore, doctor, checkpoints.

Rules of this file:
- Parses, calls one function, prints; every failure that a user can cause is one sentence and a non-zero exit.
- A running master is found by the lock file of its data folder and spoken to by HTTP, with the owner's token.
"""

from pathlib import Path
from typing import Any

import click

DATA_DIR = click.option(
    "--data-dir", default=Path("data"), show_default=True, type=click.Path(path_type=Path), help="The data folder."
)
FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command()
@FILE
@DATA_DIR
@click.option("--without-data", is_flag=True, help="Leave the pictures out: projects, history and checkpoints only.")
def backup(file: Path, data_dir: Path, without_data: bool) -> None:
    """Write everything that is kept into the zip FILE, while the servers run or not."""
    from mlitb.backup import BackupFailed
    from mlitb.backup import backup as make

    try:
        report = make(data_dir, file, with_data=not without_data)
    except BackupFailed as error:
        raise click.ClickException(str(error)) from error
    pictures = "with their pictures" if report.datasets else "without their pictures"
    click.echo(
        f"{file}: {report.projects} projects {pictures}, {report.checkpoints} checkpoints, {report.bytes:,} bytes"
    )
    click.echo("Keep it safe: who has it has the owner's token.")
    if report.warning:
        click.echo(f"Warning: {report.warning}", err=True)


@click.command()
@FILE
@DATA_DIR
def restore(file: Path, data_dir: Path) -> None:
    """Bring a data folder back to the backup FILE; a running server restarts with it, by itself."""
    from mlitb.backup import BackupFailed, finish_restore, prepare_restore
    from mlitb.folder import LOCK, is_free

    data_dir = data_dir.absolute()
    running = not is_free(data_dir / LOCK)
    try:
        report = prepare_restore(data_dir, file)
        if running:
            ask(data_dir, "POST", "/api/restart")
            click.echo("The server starts again with it; browsers come back by themselves.")
        else:
            kept = finish_restore(data_dir)
            click.echo(f"What was there before is in {kept}")
    except BackupFailed as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{file} could not be put in place ({error})") from error
    click.echo(f"{data_dir}: {report.projects} projects, {report.checkpoints} checkpoints, {report.bytes:,} bytes")


@click.command()
@DATA_DIR
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--data-port", default=8001, show_default=True, type=click.IntRange(1, 65535))
def doctor(data_dir: Path, port: int, data_port: int) -> None:
    """Check ports, disk, permissions, versions, engine and what is kept; exit with 1 when something is wrong."""
    from mlitb.doctor import examine

    findings = list(examine(data_dir.absolute(), port, data_port))
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'PROBLEM'}  {finding.what}: {finding.says}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


@click.group()
def checkpoints() -> None:
    """List the kept checkpoints of a project, go back to one, or branch a new project from it."""


PROJECT = click.argument("project")
ITERATION = click.argument("iteration", type=click.IntRange(0))


@checkpoints.command("list")
@PROJECT
@DATA_DIR
def list_checkpoints(project: str, data_dir: Path) -> None:
    """Print the kept checkpoints of PROJECT, newest first."""
    rows = ask(data_dir, "GET", f"/api/projects/{project}/checkpoints")
    click.echo(f"{'iteration':>10}  {'saved':<19}  {'loss':>8}  {'error':>7}  {'bytes':>12}")
    for row in rows:
        loss = "" if row["loss"] is None else f"{row['loss']:.4f}"
        error = "" if row["error"] is None else f"{row['error']:.2%}"
        best = "  best" if row["best"] else ""
        click.echo(f"{row['iteration']:>10}  {_when(row['saved'])}  {loss:>8}  {error:>7}  {row['bytes']:>12,}{best}")


@checkpoints.command("restore")
@PROJECT
@ITERATION
@DATA_DIR
def restore_checkpoint(project: str, iteration: int, data_dir: Path) -> None:
    """Take PROJECT back to the checkpoint of ITERATION; what it was is kept as a checkpoint, too."""
    view = ask(data_dir, "POST", f"/api/projects/{project}/checkpoints/{iteration}/restore")
    click.echo(f"{project} stands where it stood at iteration {iteration}; it goes on as {view['status']['iteration']}")


@checkpoints.command("branch")
@PROJECT
@ITERATION
@click.argument("name")
@DATA_DIR
def branch(project: str, iteration: int, name: str, data_dir: Path) -> None:
    """Make the new, paused project NAME from a checkpoint of PROJECT, with its data and history."""
    view = ask(data_dir, "POST", f"/api/projects/{project}/checkpoints/{iteration}/branch", {"name": name})
    click.echo(f"{view['id']} goes on from iteration {iteration} of {project} when you start it")


def _when(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def ask(
    data_dir: Path,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    file: Path | None = None,
    params: dict[str, Any] | None = None,
) -> Any:
    """Ask the master that runs on a data folder, with a JSON body or a file; raise ClickException with its sentence."""
    import httpx

    from mlitb.folder import read_owner

    running = read_owner(data_dir)
    if running.ended:
        raise click.ClickException(f"no server runs on {data_dir}: start it, or name its folder with --data-dir")
    try:
        token = (data_dir / "owner-token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        content = file.read_bytes() if file else None
        answer = httpx.request(
            method, running.url + path, json=body, content=content, params=params, headers=headers, trust_env=False,
            timeout=60, verify=False,
        )  # fmt: skip
        found = answer.json()
    except (OSError, httpx.HTTPError, ValueError) as error:
        raise click.ClickException(f"the server at {running.url} does not answer ({error})") from error
    if answer.is_error:
        raise click.ClickException(str(found.get("detail", answer.status_code)))
    return found


COMMANDS: tuple[click.Command, ...] = (backup, restore, doctor, checkpoints)
