"""Golden files. After a wanted change: ``REMEDIATE_GOLDEN=update pytest tests/report``, and read the diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[str, str], None]


@pytest.fixture
def golden() -> Golden:
    """``golden(name, text)``: the text equals the file, byte for byte."""
    folder = Path(__file__).parent / "golden"

    def check(name: str, text: str) -> None:
        path = folder / name
        if os.environ.get("REMEDIATE_GOLDEN") == "update":
            folder.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        assert text == path.read_bytes().decode(), f"differs from {path.name}"

    return check
