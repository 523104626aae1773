"""`mlitb up --https`: both ports, with a certificate of our own or one that is given, and what does not work."""

import re
import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from websockets.sync.client import connect

from mlitb import certificates, wire
from mlitb.cli import main
from mlitb.core.messages import PROTOCOL, Hello, Welcome
from mlitb.settings import Settings, SettingsError
from mlitb.tls import pinned, trusting
from mlitb.up import certificate_for
from tests.running import Running, command, running, until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("https")


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[Running]:
    with running(folder / "data", "--https", "--allow-host", "lab.test") as started:
        yield started


def authority(system: Running, folder: Path) -> Path:
    """Fetch the server's authority, as a device does that is to trust it."""
    answer = system.visitor.get("/ca.crt").raise_for_status()
    assert answer.headers["content-type"] == "application/x-x509-ca-cert"
    path = folder / "ca.crt"
    path.write_bytes(answer.content)
    return path


# ------------------------------------------------------------------------------------------------- a whole system
def test_who_trusts_its_authority_reaches_both_ports_by_every_name(system: Running, folder: Path) -> None:
    trusted = trusting(authority(system, folder))
    assert system.link.startswith("https://127.0.0.1:")
    with httpx.Client(verify=trusted, trust_env=False) as client:
        for name in ("127.0.0.1", "localhost"):
            config = client.get(f"https://{name}:{system.port}/api/config").json()
            assert config["data_url"] == f"https://{name}:{system.data_port}"
            assert client.get(f"{config['data_url']}/healthz").json()["ok"]
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://localhost:{system.port}/healthz", trust_env=False)


def test_the_socket_speaks_tls(system: Running, folder: Path) -> None:
    engine = system.visitor.get("/api/config").json()["engine"]
    url = f"wss://localhost:{system.port}/ws"
    with connect(url, ssl=trusting(authority(system, folder)), compression=None, proxy=None) as socket:
        socket.send(wire.encode(Hello(PROTOCOL, engine, "", "test")))
        frame = socket.recv(timeout=10)
    assert isinstance(frame, bytes)
    assert isinstance(wire.decode_server(frame)[0], Welcome)


def test_a_native_worker_trains_over_it(system: Running, folder: Path) -> None:
    url, ca = f"https://localhost:{system.port}/project/digits", str(authority(system, folder))
    before = system.iteration()
    process = subprocess.Popen(command("worker", url, "--count", "1", "--ca", ca))
    try:
        until(lambda: system.iteration() > before + 1, "it trains")
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_who_does_not_trust_it_is_told_what_to_do(system: Running) -> None:
    url = f"https://localhost:{system.port}"
    for words in (("worker", f"{url}/project/digits"), ("dataset", "--link", url, "list")):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 1
        assert f"its certificate is not trusted; if it is the server's own, fetch {url}/ca.crt" in result.output


def test_the_commands_of_the_owner_work_over_it(system: Running, folder: Path) -> None:
    found = CliRunner().invoke(main, ["checkpoints", "list", "digits", "--data-dir", str(folder / "data")])
    assert found.exit_code == 0, found.output
    ca = str(authority(system, folder))
    found = CliRunner().invoke(main, ["dataset", "--link", f"https://localhost:{system.port}", "--ca", ca, "list"])
    assert "1,797 pictures" in found.output
    told = CliRunner().invoke(main, ["doctor", "--data-dir", str(folder / "data")]).output
    assert re.search(r"ok +certificate: of our own, for localhost, .*lab\.test.*; \d+ days are left", told)


def test_the_owners_cookie_stays_on_https(system: Running) -> None:
    answer = system.visitor.get(f"/?token={system.token}")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_without_https_there_is_no_authority(tmp_path: Path) -> None:
    with running(tmp_path / "data", demo=False) as plain:
        answer = plain.visitor.get("/ca.crt")
    assert (answer.status_code, "mlitb up --https" in answer.text) == (404, True)


# ---------------------------------------------------------------------------------------------------- certificates
def made(folder: Path, *names: str) -> bytes:
    found = certificate_for(Settings(folder, https=True, allow_hosts=names))
    assert found is not None
    return found.cert.read_bytes()


def test_it_is_kept_until_a_name_is_missing_and_the_authority_for_good(tmp_path: Path) -> None:
    first = made(tmp_path)
    authority = (tmp_path / "https/authority.pem").read_bytes()
    assert made(tmp_path) == first
    second = made(tmp_path, "lab.test")
    assert second != first
    assert made(tmp_path) == second, "more names than are needed do no harm"
    assert (tmp_path / "https/authority.pem").read_bytes() == authority
    assert second.endswith(authority), "the chain is whole"


def test_one_that_soon_expires_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "DAYS", certificates.RENEW_DAYS - 1)
    first = made(tmp_path)
    assert made(tmp_path) != first
    monkeypatch.undo()
    third = made(tmp_path)
    assert made(tmp_path) == third


def test_keys_are_their_users_alone(tmp_path: Path) -> None:
    made(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "https").iterdir()}
    assert modes == {"authority-key.pem": 0o600, "authority.pem": 0o644, "cert.pem": 0o644, "key.pem": 0o600}
    assert stat.S_IMODE((tmp_path / "https").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["authority.pem", "authority-key.pem", "cert.pem", "key.pem"])
def test_a_damaged_one_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    (tmp_path / "https" / name).write_text("nonsense")
    with pytest.raises(SettingsError, match=rf"{name} cannot be used: delete the folder"):
        made(tmp_path)


def test_a_name_that_no_certificate_can_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the name 'münchen\.lan' cannot stand in a certificate"):
        made(tmp_path, "münchen.lan")


def test_our_own_programs_trust_only_what_our_servers_show(tmp_path: Path) -> None:
    mine = certificate_for(Settings(tmp_path / "a", https=True))
    other = certificate_for(Settings(tmp_path / "b", https=True))
    assert pinned(None) is True
    for shown, works in ((mine, True), (other, False)):
        assert shown is not None
        assert handshakes(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), shown.cert, shown.key, mine) is works


def handshakes(server: ssl.SSLContext, cert: Path, key: Path, trusted: object) -> bool:
    """Shake hands in memory."""
    server.load_cert_chain(cert, key)
    context = pinned(trusted)  # type: ignore[arg-type]
    assert isinstance(context, ssl.SSLContext)
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [context.wrap_bio(theirs, ours, server_hostname="10.0.0.7"), server.wrap_bio(ours, theirs, server_side=True)]
    done = [False, False]
    for _ in range(6):
        for i, end in enumerate(ends):
            try:
                end.do_handshake()
                done[i] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return all(done)


# -------------------------------------------------------------------------------------------- what does not work
def start(*options: object) -> str:
    """Start with options that cannot work; return the sentence."""
    found = subprocess.run(command("up", *map(str, options)), capture_output=True, text=True, timeout=60)
    assert found.returncode == 1, found
    assert "Traceback" not in found.stderr
    return found.stderr


def test_a_given_certificate_is_checked_at_the_start(tmp_path: Path) -> None:
    good = certificate_for(Settings(tmp_path / "own", https=True))
    assert good is not None
    folder = ("--data-dir", tmp_path / "data")
    assert "--cert needs --key" in start(*folder, "--cert", good.cert)
    assert "--key needs --cert" in start(*folder, "--key", good.key)
    assert "there is no file" in start(*folder, "--cert", tmp_path / "none.pem", "--key", good.key)
    other = certificate_for(Settings(tmp_path / "other", https=True))
    assert other is not None
    assert "cannot be used" in start(*folder, "--cert", good.cert, "--key", other.key)


def test_a_given_certificate_is_shown(tmp_path: Path) -> None:
    good = certificate_for(Settings(tmp_path / "own", https=True, allow_hosts=("lab.test",)))
    assert good is not None
    options = ("--cert", str(good.cert), "--key", str(good.key))
    with running(tmp_path / "data", *options) as system:
        assert system.link.startswith("https://")
        assert system.project()["labels"], "the demo was made over HTTPS"
        assert system.visitor.get("/ca.crt").status_code == 404, "it is not ours to hand out"
        assert not (tmp_path / "data" / "https").exists()


def test_a_file_that_is_no_authority_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text("nonsense")
    result = CliRunner().invoke(main, ["worker", "https://127.0.0.1:9", "--ca", str(path)])
    assert (result.exit_code, f"{path} is no certificate of an authority" in result.output) == (1, True)
