"""Who asks, and from where."""

import pytest
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.datastructures import Headers

from mlitb.access import HostPolicy, Owner, Tickets, data_url, hostname, invite_url, same_origin

LOCAL = HostPolicy()
LAN = HostPolicy(lan=True, names=("lan.test",))


@pytest.mark.parametrize(
    ("netloc", "name"),
    [("Example.org:80", "example.org"), ("[::1]:8000", "::1"), ("localhost.", "localhost"), ("", ""), ("[", "")],
)
def test_hostname_is_read_or_empty(netloc: str, name: str) -> None:
    assert hostname(netloc) == name


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "127.0.0.2", "[::1]:8000"])
def test_loopback_is_always_answered(host: str) -> None:
    assert LOCAL.allows(host)
    assert LAN.allows(host)


@pytest.mark.parametrize("host", ["evil.example", "lan.test", "192.168.1.7:8000", "laptop.local", ""])
def test_other_hosts_are_refused_on_loopback(host: str) -> None:
    assert not LOCAL.allows(host)


@pytest.mark.parametrize("host", ["lan.test:8000", "192.168.1.7:8000", "laptop.local:8000", "[fe80::1]:8000"])
def test_lan_answers_to_addresses_and_known_names(host: str) -> None:
    assert LAN.allows(host)


def test_lan_refuses_a_name_that_anyone_may_point_here() -> None:
    assert not LAN.allows("rebound.example:8000")


def test_the_owner_is_known_by_cookie_or_bearer() -> None:
    owner = Owner("right", "mlitb-owner-8000")
    assert owner.asks(Headers({"authorization": "Bearer right"}))
    assert owner.asks(Headers({"cookie": "a=b; mlitb-owner-8000=right"}))
    assert not owner.asks(Headers({"cookie": "mlitb-owner-8001=right"})), "a cookie for another port"
    assert not owner.asks(Headers({"authorization": "Bearer wrong"}))
    assert not owner.asks(Headers({"authorization": "Basic right"}))
    assert not owner.asks(Headers({"cookie": "mlitb-owner-8000=ä; ="}))
    assert not owner.asks(Headers({}))


def test_a_ticket_carries_one_action() -> None:
    ticket = Tickets("secret" * 4).issue("upload")
    signer = URLSafeTimedSerializer("secret" * 4, salt="mlitb-ticket")
    assert signer.loads(ticket, max_age=3600) == {"action": "upload"}
    with pytest.raises(BadSignature):
        URLSafeTimedSerializer("other" * 4, salt="mlitb-ticket").loads(ticket)
    with pytest.raises(AssertionError):
        Tickets("secret" * 4).issue("rule the world")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://lan.test:8000", True),
        ("http://lan.test", False),
        ("http://evil.example", False),
        ("null", False),
        ("https://mlitb.example", True),
    ],
)
def test_only_the_own_page_may_act(origin: str | None, allowed: bool) -> None:
    headers = {"host": "lan.test:8000"} | ({"origin": origin} if origin else {})
    assert same_origin(Headers(headers), "https://mlitb.example") is allowed


def test_urls_are_built_from_the_host_that_was_asked_for() -> None:
    assert data_url("http", "lan.test:8000", "", 8001) == "http://lan.test:8001"
    assert data_url("https", "[::1]:8000", "", 8001) == "https://[::1]:8001"
    assert data_url("http", "lan.test:8000", "https://data.example/", 8001) == "https://data.example"


@pytest.mark.parametrize(
    ("host", "public", "lan", "found"),
    [
        ("lan.test:8000", "", "192.168.1.7", "http://lan.test:8000"),
        ("192.168.1.9:8000", "", "192.168.1.7", "http://192.168.1.9:8000"),
        ("127.0.0.1:8000", "", "192.168.1.7", "http://192.168.1.7:8000"),
        ("localhost:8000", "", "192.168.1.7", "http://192.168.1.7:8000"),
        ("[::1]:8000", "", "192.168.1.7", "http://192.168.1.7:8000"),
        ("127.0.0.1:8000", "", "127.0.0.1", ""),
        ("localhost:8000", "", "", ""),
        ("localhost:8000", "https://mlitb.example/", "", "https://mlitb.example"),
        ("lan.test:8000", "https://mlitb.example", "", "https://mlitb.example"),
    ],
)
def test_others_are_invited_to_where_they_reach_the_master(host: str, public: str, lan: str, found: str) -> None:
    assert invite_url("http", host, public, lan, 8000) == found
