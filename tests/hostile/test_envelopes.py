"""Approvals that nobody signed, and signer files that nobody wrote."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from remediate.approval import sshsig
from remediate.approval.envelope import Envelope, Evidence, parse
from remediate.approval.signers import Signers
from remediate.errors import Refused
from remediate.model.base import canonical
from tests.approval.world import World
from tests.hostile import clear_refusal, concise, hostile
from tests.hostile.mutations import json_values, nested, spoiled, spoilings, text_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """People and their keys."""
    return World.make(tmp_path_factory.mktemp("envelopes"))


@pytest.fixture(scope="module")
def envelope(world: World) -> Envelope:
    """Ann's approval."""
    return world.sign("ann", comment="read it")


def refused(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse(Evidence("fix.plan.json.approve-ann.json", data))
    concise(caught.value, "fix.plan.json.approve-ann.json: ")
    assert caught.value.advice


@hostile("envelopes: changed bytes", 200, "refused, the file named; or ssh-keygen finds the signature wrong")
@given(spoilings)
def test_changed_bytes(world: World, envelope: Envelope, spoil: Callable[[bytes], bytes]) -> None:
    changed = spoil(envelope.data)
    assume(changed != envelope.data)
    try:
        parse(Evidence("e.json", changed))
    except Refused as error:
        concise(error, "e.json: ")
    else:
        with pytest.raises(Refused):
            world.verify(changed)


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"\xff", nested(b"[", b"]"), nested(b'{"payload":', b"}", b"1"), b"9" * 100_000],
    ids=["nothing", "null", "list", "no text", "deep list", "deep object", "huge number"],
)
def test_no_envelope(data: bytes) -> None:
    refused(data)


@hostile("envelopes: changed values", 200, "refused, the file named; or ssh-keygen finds the signature wrong")
@given(st.data())
def test_changed_values(world: World, envelope: Envelope, data: st.DataObject) -> None:
    value = data.draw(json_values(json.loads(envelope.data)))
    try:
        changed = canonical(value) + b"\n"
    except ValueError:
        changed = text_of(value)
    assume(changed != envelope.data)
    with pytest.raises(Refused) as caught:
        world.verify(changed)
    concise(caught.value)


BLOB = b"SSHSIG\x00\x00\x00\x01" + b"".join(
    len(part).to_bytes(4, "big") + part for part in (b"\x00\x00\x00\x01k", b"ns", b"", b"sha512", b"sig")
)


def armored(blob: bytes) -> str:
    return f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----\n"


@hostile("SSH signatures: any text, any lengths inside", 300, "no signature, in words; or its only spelling")
@given(st.one_of(st.text(max_size=100), spoiled(BLOB).map(armored), st.binary(max_size=60).map(armored)))
@example(armored(BLOB[:10] + b"\xff\xff\xff\xff"))
@example("-----BEGIN SSH SIGNATURE-----" + " \n" * 100_000)
def test_signatures(text: str) -> None:
    with clear_refusal():
        try:
            found = sshsig.parse(text)
        except ValueError as error:
            concise(error, kinds=(ValueError,))
        else:
            assert sshsig.parse(found.armored) == found


@hostile("allowed signers: any lines", 150, "only whole lines count; nobody else may sign")
@given(st.one_of(spoilings, st.binary(max_size=200).map(lambda data: lambda _: data)))
def test_signers(world: World, spoil: Callable[[bytes], bytes]) -> None:
    good = (world.root / "allowed_signers").read_bytes()
    known = {entry.key for entry in Signers(Path("signers"), good).entries}
    with clear_refusal():
        changed = Signers(Path("signers"), spoil(good))
        # A key of other bytes is another key, of which nobody has the private half.
        assert all(entry.key in known or entry.key not in good for entry in changed.entries)
        for entry in changed.entries:
            entry.matches("ann@example.org" + "*" * 50)
