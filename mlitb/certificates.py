"""A certificate of our own, for `mlitb up --https` without one that is given.

Rules of this file:
- It is made by an authority that is made for one data folder and never leaves it. A device that trusts this authority
  trusts every later certificate of the folder: names may change, and it is made anew before it expires.
- Elliptic keys (P-256), readable by their user only; what is written is written whole.
"""

import datetime
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlitb.access import lan_address
from mlitb.settings import Settings, SettingsError
from mlitb.tls import Certificate, why

FOLDER = "https"
AUTHORITY = "authority.pem"
AUTHORITY_DAYS = 3650
DAYS = 800
"""What iPhones take from an authority that their user trusts is 825 days at the most."""

RENEW_DAYS = 90
"""A certificate with less left is made anew at a start."""

Key = ec.EllipticCurvePrivateKey


def own(settings: Settings) -> Certificate:
    """Find, or make, the certificate of a data folder; raises SettingsError."""
    folder = settings.data_dir / FOLDER
    found, wanted = Certificate(folder / "cert.pem", folder / "key.pem", folder / AUTHORITY), names(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, key = _authority(folder)
        if not _serves(found, authority, wanted):
            _issue(found, authority, key, wanted)
    except OSError as error:
        raise SettingsError(f"the certificate in {folder} cannot be kept ({why(error)})") from error
    return found


def names(settings: Settings) -> tuple[str, ...]:
    """List by what names and addresses browsers may call this server."""
    host = socket.gethostname().lower()
    found = ["localhost", "127.0.0.1", "::1", host, *settings.allow_hosts]
    found += [f"{host}.local"] if "." not in host else []
    found += [lan_address()] if settings.lan else []
    found += [settings.host] if settings.host not in ("0.0.0.0", "::") else []
    found += [name for url in (settings.public_url, settings.data_url) if (name := urlsplit(url).hostname)]
    return tuple(dict.fromkeys(found))


def describe(data_dir: Path) -> tuple[bool, str, str]:
    """Tell of a folder's own certificate: whether it can be used, what this is about, for whom and how long it is."""
    try:
        leaf = _read(data_dir / FOLDER / "cert.pem")
    except SettingsError as error:
        return False, "certificate", str(error)
    left = (leaf.not_valid_after_utc - _now()).days
    says = f"of our own, for {', '.join(_names_of(leaf))}; {left} days are left"
    return left > 0, "certificate", says if left > 0 else f"{says}: start the server again, and another is made"


def _authority(folder: Path) -> tuple[x509.Certificate, Key]:
    path, key_path = folder / AUTHORITY, folder / "authority-key.pem"
    if path.exists() and key_path.exists():
        return _read(path), _read_key(key_path)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"MLitB on {socket.gethostname()}"[:64])])
    usage = {name: name in ("key_cert_sign", "crl_sign") for name in USAGES}
    made = (
        _builder(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    _write(path, made.public_bytes(serialization.Encoding.PEM), 0o644)
    return made, key


USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, days: int) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks of devices differ
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _serves(found: Certificate, authority: x509.Certificate, wanted: Iterable[str]) -> bool:
    """Tell whether what is there is of this authority, names all that is wanted, and lasts."""
    if not (found.cert.exists() and found.key.exists()):
        return False
    leaf = _read(found.cert)
    lasts = leaf.not_valid_after_utc - _now() > datetime.timedelta(days=RENEW_DAYS)
    ours = leaf.public_key() == _read_key(found.key).public_key() and leaf.issuer == authority.subject
    return lasts and ours and set(wanted) <= set(_names_of(leaf))


def _issue(found: Certificate, authority: x509.Certificate, authority_key: Key, wanted: tuple[str, ...]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    leaf = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MLitB")]), authority.subject, key, DAYS)
        .add_extension(x509.SubjectAlternativeName(list(_general(wanted))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{name: name == "digital_signature" for name in USAGES}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write_key(found.key, key)
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, authority))
    _write(found.cert, chain, 0o644)


def _general(wanted: tuple[str, ...]) -> Iterator[x509.GeneralName]:
    for name in wanted:
        address = _address(name)
        try:
            yield x509.IPAddress(address) if address else x509.DNSName(name)
        except ValueError as error:
            raise SettingsError(f"the name {name!r} cannot stand in a certificate: write it in ASCII, xn--…") from error


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _names_of(leaf: x509.Certificate) -> list[str]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(path) from error


def _read_key(path: Path) -> Key:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path) from error
    if not isinstance(key, Key):
        raise _unusable(path)
    return key


def _unusable(path: Path) -> SettingsError:
    return SettingsError(f"{path} cannot be used: delete the folder {path.parent} and another certificate is made")


def _write_key(path: Path, key: Key) -> None:
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, plain, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all."""
    beside = path.with_suffix(".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    beside.replace(path)
