"""`mlitb dataset …`: make, get, upload, list, show, download and delete data sets.

Rules of this file:
- Parses, calls one function, prints; every failure that a user can cause is one sentence and a non-zero exit.
- Heavy modules are imported in the command that needs them, so that `mlitb --help` is instant.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlitb.worker import ca_option

if TYPE_CHECKING:
    from mlitb.dataset_client import DatasetClient
    from mlitb.datasets import Progress

NAMES = ("mnist", "fashion-mnist", "cifar10")  # mlitb.datasets.READY_MADE's; a test holds them together
NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
@click.option("--link", envvar="MLITB_LINK", default="http://127.0.0.1:8000", show_default=True,
              help="The link that `mlitb up` printed, with the owner's token.")  # fmt: skip
@click.option("--data-dir", default=Path("data"), show_default=True, type=click.Path(path_type=Path),
              help="Where the token is, when the link has none and the server runs here.")  # fmt: skip
@ca_option
@click.pass_context
def dataset(context: click.Context, link: str, data_dir: Path, ca: Path | None) -> None:
    """Make, upload and manage data sets."""
    context.obj = (link, data_dir, ca)


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what a user can cause into one sentence."""
    from mlitb.datasets import DatasetFailed

    try:
        yield
    except DatasetFailed as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'a file'}: {error.strerror or error}") from error


@contextmanager
def _client(context: click.Context) -> Iterator["DatasetClient"]:
    from mlitb.dataset_client import DatasetClient

    link, data_dir, ca = context.obj
    path = data_dir / "owner-token"
    with _failures():
        token = path.read_text().strip() if "token=" not in link and path.exists() else ""
        client = DatasetClient(link, token, ca)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def _progress(label: str) -> Iterator["Progress"]:
    """Show a bar on a terminal and nothing elsewhere."""
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, done, 1)
            bar.update(done - bar.pos)

        yield show


@dataset.command()
@click.argument("path", type=NEW_FILE, default=Path("digits.zip"))
def digits(path: Path) -> None:
    """Write scikit-learn's handwritten digits as a zip, without any network."""
    from mlitb.datasets import digits_zip

    with _failures():
        click.echo(f"wrote {digits_zip(path)}")


@dataset.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--to", type=NEW_FILE, default=None, help="The zip to write; by default it is kept in the cache.")
def get(name: str, to: Path | None) -> None:
    """Download a well-known data set from its home and make it a zip."""
    from mlitb.datasets import READY_MADE, cache_folder, ready_made_zip

    wanted = READY_MADE[name]
    with _failures(), _progress(f"downloading {name}") as progress:
        cache_folder().mkdir(parents=True, exist_ok=True)
        path = ready_made_zip(wanted, to or cache_folder() / f"{name}.zip", cache_folder(), progress)
    size = f"--width {wanted.width} --height {wanted.height} --channels {wanted.channels}"
    click.echo(f"wrote {path}\nupload it with: mlitb dataset upload {path} {size}")


@dataset.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--width", type=int, required=True, help="Width of the pictures that the network sees.")
@click.option("--height", type=int, required=True, help="Their height.")
@click.option("--channels", type=int, default=3, show_default=True, help="1 for grey, 3 for colour.")
@click.option("--mode", type=click.Choice(["crop", "fit", "stretch"]), default="crop", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--validation", type=float, default=0.0, help="Share of each label to hold back (0.3 is usual).")
@click.option("--duplicates", type=click.Choice(["keep", "drop"]), default="keep", show_default=True)
@click.option("--name", default="", help="What to call it; by default the file's name.")
@click.pass_context
def upload(context: click.Context, /, path: Path, name: str, **options: Any) -> None:
    """Upload a zip, or a folder of label folders; it goes on by itself after a dropped connection."""
    fields = {key: str(value) for key, value in options.items()}
    fields["name"] = (name or path.absolute().name.removesuffix(".zip"))[:100]
    with _client(context) as client, _zipped(path) as zipped:
        with _progress("sending") as sent, _progress("reading") as read:
            report = client.upload(zipped, fields, sent, read, _say_place)
        _print(report)


def _say_place(ahead: int) -> None:
    line = f"the data server reads {ahead} other upload{'s' * (ahead != 1)} first" if ahead else "it is this one's turn"
    click.echo(line, err=True)


@contextmanager
def _zipped(path: Path) -> Iterator[Path]:
    """Give a zip's own path, or a folder as a zip that is gone afterwards."""
    if not path.is_dir():
        yield path
        return
    from mlitb.datasets import write_zip

    with tempfile.TemporaryDirectory(prefix="mlitb-upload-") as temporary:
        zipped = Path(temporary) / "upload.zip"
        files = sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
        write_zip(zipped, ((file.relative_to(path).as_posix(), file.read_bytes()) for file in files))
        yield zipped


@dataset.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """List the data sets."""
    with _client(context) as client:
        for report in client.list():
            used = f"  used by {', '.join(report['uses'])}" if report["uses"] else ""
            labels = len(report["labels"])
            click.echo(f"{report['id']:5} {report['name']:30} {report['images']:8,} pictures {labels:5} labels{used}")


@dataset.command()
@click.argument("name", metavar="ID")
@click.pass_context
def show(context: click.Context, name: str) -> None:
    """Show one data set: labels, cuts, and what was left out."""
    with _client(context) as client:
        _print(client.show(name))


@dataset.command()
@click.argument("name", metavar="ID")
@click.option("--to", type=NEW_FILE, default=None, help="The zip to write; by default ID.zip.")
@click.pass_context
def download(context: click.Context, name: str, to: Path | None) -> None:
    """Download a data set as a zip of label folders."""
    path = to or Path(f"{name}.zip")
    with _client(context) as client:
        client.download(name, path)
    click.echo(f"wrote {path}")


@dataset.command()
@click.argument("name", metavar="ID")
@click.pass_context
def delete(context: click.Context, name: str) -> None:
    """Delete a data set that no project uses."""
    with _client(context) as client:
        client.delete(name)
    click.echo(f"deleted {name}")


def _print(report: dict[str, Any]) -> None:
    known = " (known already)" if report["known"] else ""
    click.echo(f"{report['id']} {report['name']}: {report['images']:,} pictures, {report['bytes']:,} bytes{known}")
    for label in report["labels"]:
        click.echo(f"  {label['name']:30} {label['train']:8,} {label['validation']:8,} {label['test']:8,}")
    for cut in report["cuts"]:
        shape = f"{cut['width']} x {cut['height']} x {cut['channels']}, {cut['mode']}, seed {cut['seed']}"
        click.echo(f"  cut {cut['id']}: {shape}, {cut['vectors']:,} vectors to train on")
    for note in report["notes"]:
        click.echo(f"  note: {note}")
    if report["duplicates"]:
        click.echo(f"  {report['duplicates']:,} files have the bytes of another")
    for reason, count in report["skipped"]["reasons"].items():
        click.echo(f"  left out {count:,}: {reason}")
