"""`mlitb dataset …` against a running system, and downloads from a server of our own."""

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result

from mlitb import datasets, pixels
from mlitb.dataset_cli import NAMES, _say_place, dataset
from mlitb.dataset_client import DatasetClient
from mlitb.datasets import READY_MADE, DatasetFailed, Source, digits_zip, fetch, ready_made_zip
from tests.running import Running, running, until


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one system for all tests of this file."""
    with running(tmp_path_factory.mktemp("system"), demo=False) as found:
        yield found


def call(system: Running, *arguments: str) -> Result:
    """Run `mlitb dataset` with the link that the system printed."""
    return CliRunner().invoke(dataset, ["--link", system.link, *arguments])


def test_a_data_sets_life_by_commands(system: Running, tmp_path: Path) -> None:
    path = digits_zip(tmp_path / "digits.zip")
    shape = ["--width", "8", "--height", "8", "--channels", "1"]
    result = call(system, "upload", str(path), *shape)
    assert result.exit_code == 0, result.output
    name = _id_in(result.output)
    assert "1,797 pictures" in result.output
    assert "8 x 8 x 1, crop, seed 0, 1,437 vectors" in result.output
    assert "known already" in call(system, "upload", str(path), *shape).output
    assert "digits" in call(system, "list").output
    assert "note: folders named for test, train" in call(system, "show", name).output
    copy = tmp_path / "copy.zip"
    assert call(system, "download", name, "--to", str(copy)).exit_code == 0
    assert _files(copy) == _files(path)
    assert call(system, "delete", name).output == f"deleted {name}\n"
    gone = call(system, "show", name)
    assert (gone.exit_code, gone.output) == (1, f"Error: there is no data set '{name}'\n")


def test_a_folder_is_uploaded(system: Running, tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(9):
            image = np.full((8, 8, 1), 100 * (label == "b") + number, np.uint8)
            (tmp_path / "pets" / label / f"{number}.png").write_bytes(pixels.encode_png(image))
    result = call(system, "upload", str(tmp_path / "pets"), "--width", "8", "--height", "8", "--validation", "0.3")
    assert result.exit_code == 0, result.output
    assert "pets: 18 pictures" in result.output
    assert call(system, "delete", _id_in(result.output)).exit_code == 0


def test_refusals_are_one_sentence(system: Running, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"not a zip at all")
    shape = ["--width", "8", "--height", "8"]
    assert call(system, "upload", str(bad), *shape).output.startswith("Error: this is not a zip file")
    assert "2 channels: must be 1" in call(system, "upload", str(bad), *shape, "--channels", "2").output
    assert call(system, "show", "../x").output.startswith("Error: '../x' is no data set's id")
    stranger = CliRunner().invoke(dataset, ["--link", f"{system.master}?token=wrong", "delete", "d1"])
    assert (stranger.exit_code, stranger.output.count("\n")) == (1, 1)
    nobody = CliRunner().invoke(dataset, ["--link", "http://127.0.0.1:9", "list"])
    assert nobody.output.startswith("Error: nothing answers at http://127.0.0.1:9")


def test_the_token_is_found_in_the_data_folder(system: Running, tmp_path: Path) -> None:
    (tmp_path / "owner-token").write_text(system.token)
    arguments = ["--link", system.master, "--data-dir", str(tmp_path), "delete", "d999"]
    assert "there is no data set 'd999'" in CliRunner().invoke(dataset, arguments).output


def test_an_upload_goes_on_after_the_connection_dropped(
    system: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = digits_zip(tmp_path / "digits.zip")
    monkeypatch.setattr("mlitb.dataset_client.PIECE_BYTES", 100_000)
    client = DatasetClient(system.link)
    send, failures = client._send, [2, 5]

    def breaks(url: str, offset: int, piece: bytes) -> int:
        if failures and offset >= failures[0] * 50_000:
            failures.pop(0)
            send(url, offset, piece)  # the bytes arrive, the answer does not
            raise httpx.ReadError("the cable is pulled")
        return send(url, offset, piece)

    monkeypatch.setattr(client, "_send", breaks)
    seen: list[int] = []
    fields = {"width": "8", "height": "8", "channels": "1"}
    report = client.upload(path, fields, lambda done, _: seen.append(done), lambda *_: None, lambda _: None)
    assert (report["images"], failures) == (1797, [])
    assert seen == sorted(set(seen))
    client.delete(report["id"])
    client.close()


def test_the_place_in_the_line_is_said(
    system: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = digits_zip(tmp_path / "digits.zip")
    long = {"width": "512", "height": "512", "channels": "3"}
    first, second = DatasetClient(system.link), DatasetClient(system.link)
    addresses: list[str] = []
    finish = first._outcome

    def begun(url: str, *heard: Any) -> dict[str, Any]:
        addresses.append(url)
        return finish(url, *heard)

    monkeypatch.setattr(first, "_outcome", begun)

    def upload_first() -> None:
        with pytest.raises(DatasetFailed, match="no such upload"):
            first.upload(path, long, lambda *_: None, lambda *_: None, lambda _: None)

    thread = threading.Thread(target=upload_first)
    thread.start()
    until(lambda: addresses, "the first is sent")
    until(lambda: second._ask("GET", addresses[0], headers=second._ticket("upload")).json()["entries"], "it is read")

    def waits(ahead: int) -> None:
        _say_place(ahead)
        if ahead:
            first._ask("DELETE", addresses[0], headers={**first._ticket("upload"), "tus-resumable": "1.0.0"})

    short = {"width": "8", "height": "8", "channels": "1"}
    report = second.upload(path, short, lambda *_: None, lambda *_: None, waits)
    thread.join()
    assert capsys.readouterr().err.startswith("the data server reads 1 other upload first\n")
    second.delete(report["id"])
    first.close()
    second.close()


class Home:
    """A web server that gives files, as a data set's home does."""

    def __init__(self, folder: Path) -> None:
        handler = partial(Quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The standard handler without its log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Run a web server over a folder."""
    (tmp_path / "home").mkdir()
    opened = Home(tmp_path / "home")
    yield opened
    opened.close()


def idx(values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """Write an IDX file as MNIST's makers do."""
    shape = np.array(values.shape, ">u4").tobytes()
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + shape + values.tobytes(), mtime=0)


def _source(folder: Path, name: str, data: bytes, *homes: str) -> Source:
    (folder / Path(name).name).write_bytes(data)
    return Source(name, homes, hashlib.sha256(data).hexdigest())


def test_mnist_is_downloaded_checked_and_zipped(home: Home, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (30, 10)]
    labels = [np.arange(n, dtype=np.uint8) % 10 for n in (30, 10)]
    parts = [images[0], labels[0], images[1], labels[1]]
    wanted = READY_MADE["mnist"]
    sources = tuple(
        _source(tmp_path / "home", source.name, idx(part), "http://127.0.0.1:9/", home.url)
        for source, part in zip(wanted.sources, parts, strict=True)
    )
    seen: list[tuple[int, int]] = []
    cache = tmp_path / "cache"
    path = ready_made_zip(replace(wanted, sources=sources), tmp_path / "m.zip", cache, lambda *at: seen.append(at))
    assert all(done == total for done, total in seen)
    files = _files(path)
    assert len(files) == 40
    assert (pixels.decode(files["train/3/00013.png"], 28, 28, 1)[:, :, 0] == images[0][13]).all()
    assert (pixels.decode(files["test/9/00009.png"], 28, 28, 1)[:, :, 0] == images[1][9]).all()
    seen.clear()
    for file in (tmp_path / "home").iterdir():
        file.unlink()
    again = ready_made_zip(replace(wanted, sources=sources), tmp_path / "again.zip", cache, lambda *at: seen.append(at))
    assert (again.read_bytes(), seen) == (path.read_bytes(), []), "from the cache, without any network"


def test_cifar10_is_read_from_its_binary_archive(home: Home, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    out = io.BytesIO()
    records = {}
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin", "readme.html"):
            rows = rng.integers(0, 256, (5, 3073), dtype=np.uint8)
            rows[:, 0] = np.arange(5)
            records[name] = rows
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = rows.size
            archive.addfile(info, io.BytesIO(rows.tobytes()))
    wanted = READY_MADE["cifar10"]
    source = _source(tmp_path / "home", wanted.sources[0].name, out.getvalue(), home.url)
    files = _files(ready_made_zip(replace(wanted, sources=(source,)), tmp_path / "c.zip", tmp_path, lambda *_: None))
    assert len(files) == 15
    found = pixels.decode(files["train/automobile/00006.png"], 32, 32, 3)
    assert (found == records["data_batch_2.bin"][1, 1:].reshape(3, 32, 32).transpose(1, 2, 0)).all()


def test_what_has_another_checksum_is_thrown_away(home: Home, tmp_path: Path) -> None:
    source = replace(_source(tmp_path / "home", "x/file.gz", b"hello", home.url), sha256="0" * 64)
    with pytest.raises(DatasetFailed, match="another checksum"):
        fetch(source, tmp_path / "cache", lambda *_: None)
    assert not (tmp_path / "cache" / "x" / "file.gz").exists()
    missing = Source("x/missing.gz", (home.url,), "0" * 32)
    with pytest.raises(DatasetFailed, match="404"):
        fetch(missing, tmp_path / "cache", lambda *_: None)


def test_the_commands_make_zips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "d.zip"
    assert CliRunner().invoke(dataset, ["digits", str(path)]).output == f"wrote {path}\n"
    assert CliRunner().invoke(dataset, ["digits", str(tmp_path / "no" / "d.zip")]).exit_code == 1
    images = np.zeros((2, 28, 28), np.uint8)
    cached = tmp_path / "cache" / "mlitb" / "mnist"
    cached.mkdir(parents=True)
    sources = []
    for source in READY_MADE["mnist"].sources:
        data = idx(images if "images" in source.name else np.arange(2, dtype=np.uint8))
        (cached / Path(source.name).name).write_bytes(data)
        sources.append(replace(source, sha256=hashlib.sha256(data).hexdigest()))
    monkeypatch.setitem(READY_MADE, "mnist", replace(READY_MADE["mnist"], sources=tuple(sources)))
    assert datasets.cached_zip("mnist") is None
    result = CliRunner().invoke(dataset, ["get", "mnist"])
    assert "--width 28 --height 28 --channels 1" in result.output, result.output
    found = datasets.cached_zip("mnist")
    assert found is not None
    assert len(_files(found)) == 4


def test_the_names_are_those_that_are_known() -> None:
    assert tuple(READY_MADE) == NAMES


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _id_in(output: str) -> str:
    return next(line.split()[0] for line in output.splitlines() if " pictures, " in line)
