"""HTTP, TCP and certificates, against servers of the test's own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from remediate.adapters.checks.certificate import CertificateIs
from remediate.adapters.checks.http import Http
from remediate.adapters.checks.tcp import Tcp
from remediate.model.step import Context
from tests.adapters.checks.conftest import Tls


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/healthz", {}),
        ("/healthz?a=b", {"contains": "ok"}),
        ("/healthz", {"json_has": {"status": "ok", "items.0.state": "up", "items.0.n": 1}}),
        ("/broken", {"status": 500, "contains": "cheese"}),
        ("/moved", {"status": 302}),
        ("/host", {"headers": {"Host": "{target.name}.example"}, "contains": "here.example"}),
    ],
)
def test_http_right(web: int, context: Context, path: str, fields: dict[str, object]) -> None:
    result = Http(f"http://{{target.address}}:{web}{path}", **fields).run(context)
    assert result.ok, result
    assert result.actual
    assert result.title.startswith(f"GET http://127.0.0.1:{web}{path}: status ")


@pytest.mark.parametrize(
    ("path", "fields", "actual"),
    [
        ("/broken", {}, "status 500"),
        ("/moved", {}, "status 302"),
        ("/healthz", {"contains": "cheese"}, "no 'cheese' in:"),
        ("/healthz", {"json_has": {"status": "bad"}}, 'status = "ok"'),
        ("/healthz", {"json_has": {"items.1.state": "up"}}, "no items.1.state"),
        ("/healthz", {"json_has": {"items.0.n": True}}, "items.0.n = 1"),
        ("/healthz", {"json_has": {"status.deep": 1}}, "no status.deep"),
        ("/broken", {"status": 500, "json_has": {"a": 1}}, "no JSON: 'no cheese'"),
        ("/long", {}, "longer than"),
        ("/hostile", {"contains": "cheese"}, r"\x1b"),
    ],
)
def test_http_wrong(web: int, context: Context, path: str, fields: dict[str, object], actual: str) -> None:
    result = Http(f"http://127.0.0.1:{web}{path}", **fields).run(context)
    assert not result.ok
    assert actual in result.actual
    assert "\x1b" not in result.actual


def test_http_nobody_there(context: Context) -> None:
    result = Http("http://127.0.0.1:1/", timeout="1s").run(context)
    assert (result.ok, "refused" in result.actual) == (False, True)


def test_http_a_server_that_says_nothing(context: Context) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        result = Http(f"http://127.0.0.1:{mute.getsockname()[1]}/", timeout="0.3s").run(context)
    assert (result.ok, "timed out" in result.actual) == (False, True)


def test_http_no_proxy_answers_instead(context: Context, web: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{web}")
    assert not Http("http://127.0.0.1:1/healthz").run(context).ok


def test_https_is_always_verified(tls: Tls, context: Context) -> None:
    url = f"https://127.0.0.1:{tls.port}/healthz"
    result = Http(url).run(context)
    assert (result.ok, "certificate verify failed" in result.actual.lower()) == (False, True)
    assert Http(url, ca=str(tls.ca)).run(context).ok
    check = Http(url, ca="ca.pem")
    assert check.run(context).ok
    assert check.artefacts(context.artefacts) == (Path("ca.pem"),)
    assert not Http(f"https://localhost:{tls.port}/healthz", ca="ca.pem").run(context).ok, "another name"


@pytest.mark.parametrize("fields", [{"url": "ftp://x"}, {"url": ""}, {}, {"url": "http://x", "unknown": 1}])
def test_http_nonsense_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Http.model_validate(fields)


def test_http_survives_the_plan() -> None:
    check = Http("http://{target.address}/healthz", status=200, within="30s")
    assert check.within == 30
    assert Http.model_validate(check.model_dump(mode="json")) == check


def test_tcp(web: int, context: Context) -> None:
    assert Tcp("{target.address}", web).run(context).ok
    assert not Tcp("127.0.0.1", 1).run(context).ok
    assert Tcp("127.0.0.1", 1, accepts=False).run(context).ok
    assert not Tcp("127.0.0.1", web, accepts=False).run(context).ok


def test_tcp_silence_proves_neither(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    for accepts in (True, False):
        result = Tcp("127.0.0.1", 80, accepts=accepts, timeout="0.1s").run(context)
        assert (result.ok, result.actual) == (False, "no answer within 0.1 s")


def test_certificate_right(tls: Tls, context: Context) -> None:
    shown = ":".join(tls.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    check = CertificateIs(
        "{target.address}", tls.port, not_expiring_within="14d", issuer="remediate test", fingerprint=shown
    )
    result = check.run(context)
    assert result.ok, result
    assert tls.fingerprint in result.actual
    assert CertificateIs.model_validate(check.model_dump(mode="json")) == check


@pytest.mark.parametrize(
    "fields", [{"not_expiring_within": "31d"}, {"issuer": "somebody else"}, {"fingerprint": "0" * 64}]
)
def test_certificate_wrong(tls: Tls, context: Context, fields: dict[str, object]) -> None:
    result = CertificateIs("127.0.0.1", tls.port, **fields).run(context)
    assert not result.ok
    assert "valid from" in result.actual


def test_certificate_of_a_server_without_tls(web: int, context: Context) -> None:
    result = CertificateIs("127.0.0.1", web, timeout="2s").run(context)
    assert (result.ok, result.actual.startswith("no answer")) == (False, True)
