"""No single byte of a plan or an envelope can change without the approval being refused."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from remediate.approval.envelope import NAMESPACE
from remediate.approval.signers import Signers
from remediate.approval.sshsig import take
from remediate.errors import InputError, Refused
from remediate.model.plan import parse_plan
from tests.approval.world import NOW, World

#: Every single bit.
FLIPS = tuple(1 << bit for bit in range(8))


def flipped(data: bytes, place: int, flip: int) -> bytes:
    return data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]


def test_every_byte_of_the_envelope(world: World) -> None:
    envelope = world.sign("ann", comment="read it")
    config, signers = world.config, Signers.load(world.config)
    assert world.verify(envelope, config=config, signers=signers).person == "ann"

    def survives(place: int, flip: int) -> bool:
        try:
            world.verify(flipped(envelope.data, place, flip), config=config, signers=signers)
        except Refused:
            return False
        return True

    cases = [(place, flip) for place in range(len(envelope.data)) for flip in FLIPS]
    with ThreadPoolExecutor(8) as pool:
        survivors = [
            case for case, ok in zip(cases, pool.map(survives, *zip(*cases, strict=True)), strict=True) if ok
        ]
    assert survivors == []


def test_every_byte_of_the_plan(world: World) -> None:
    """Through the product: the bytes are no plan any more, or a plan that the envelope is not about."""
    envelope, data = world.sign("ann"), world.plan.data
    config, signers = world.config, Signers.load(world.config)
    assert world.verify(envelope, plan=parse_plan(data), config=config, signers=signers).person == "ann"
    for place in range(len(data)):
        for flip in FLIPS:
            with pytest.raises((Refused, InputError)):
                world.verify(
                    envelope, plan=parse_plan(flipped(data, place, flip)), config=config, signers=signers
                )


def test_the_signature_itself_covers_every_byte_of_the_plan(world: World) -> None:
    """Without the product's checks of digests: Ed25519 alone, computed by another library."""
    envelope, data = world.sign("ann"), world.plan.data
    key = cast(Ed25519PublicKey, load_ssh_public_key((world.root / "ann.pub").read_bytes()))
    rest = envelope.sshsig.blob[10:]
    for _ in ("key", "namespace", "reserved", "hash"):
        rest = take(rest)[1]
    raw = take(take(take(rest)[0])[1])[0]

    def check(plan: bytes) -> None:
        def string(value: bytes) -> bytes:
            return len(value).to_bytes(4, "big") + value

        digest = hashlib.sha512(envelope.payload.message(plan)).digest()
        key.verify(raw, b"SSHSIG" + b"".join(map(string, (NAMESPACE.encode(), b"", b"sha512", digest))))

    check(data)
    for place in range(len(data)):
        with pytest.raises(InvalidSignature):
            check(flipped(data, place, 0x01))


def test_ssh_keygen_alone_refuses_a_changed_plan(world: World) -> None:
    envelope, data = world.sign("ann"), world.plan.data
    signers = Signers.load(world.config)
    signers.verify(envelope.payload.message(data), envelope.sshsig, "ann@example.org", NOW)
    for plan in [*(flipped(data, place, 0x01) for place in range(0, len(data), 97)), data + b"\n", data[:-1]]:
        with pytest.raises(Refused, match="not over this payload and this plan"):
            signers.verify(envelope.payload.message(plan), envelope.sshsig, "ann@example.org", NOW)


def test_no_other_split_of_payload_and_plan_gives_the_same_message(world: World) -> None:
    payload = world.sign("ann").payload
    message = payload.message(world.plan.data)
    assert message == b"remediate.approval/1 %d %s %d %s" % (
        len(payload.data), payload.data, len(world.plan.data), world.plan.data
    )  # fmt: skip
