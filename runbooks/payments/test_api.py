"""What the payment module has to do. Every payment is a dry run: made in the database, and taken back."""

# ruff: noqa: S101, S310 - tests assert, and the address is the target's own

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

import pytest

URL = f"http://{os.environ['TARGET_ADDRESS']}:8081"
REFERENCE = "invoice 4711 ☂ 'quoted'"
#: Nobody's proxy: the target itself is asked.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(path: str, order: object = None) -> tuple[int, dict[str, Any]]:
    """Status and answer of GET, or of POST if there is an order."""
    body = None if order is None else json.dumps(order).encode()
    try:
        with OPENER.open(urllib.request.Request(URL + path, body), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def order(**fields: object) -> dict[str, object]:
    """A payment that is taken back."""
    return {"payer": 1, "payee": 2, "amount": "0.07", "reference": REFERENCE, "dry_run": True, **fields}


def total(balances: dict[str, str]) -> Decimal:
    return sum(map(Decimal, balances.values()), Decimal(0))


def test_a_payment_with_a_reference_is_taken() -> None:
    status, answer = ask("/payments", order())
    assert status == 200, answer


def test_money_moves_and_none_is_made() -> None:
    _, answer = ask("/payments", order(amount="1.25"))
    before, after = answer["before"], answer["after"]
    assert total(after) == total(before)
    assert Decimal(after["2"]) - Decimal(before["2"]) == Decimal("1.25")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"amount": "-1"}, 400),
        ({"amount": "0.001"}, 400),
        ({"amount": "one"}, 400),
        ({"payee": 1}, 400),
        ({"payee": 999999}, 404),
        ({"amount": "1000000"}, 409),
        ({"reference": "x" * 141}, 400),
    ],
)
def test_what_is_wrong_is_refused(fields: dict[str, object], status: int) -> None:
    assert ask("/payments", order(**fields))[0] == status


def test_old_payments_can_be_read() -> None:
    status, answer = ask("/payments/1")
    assert status == 200
    assert answer["reference"] == ""
    assert Decimal(answer["amount"]) > 0


def test_all_accounts_are_there() -> None:
    status, answer = ask("/balance")
    assert status == 200
    assert answer["accounts"] > 0
    assert Decimal(answer["total"]) > 0
