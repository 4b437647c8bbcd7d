"""What all tests share: which of them may run side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

_ROOT = Path(__file__).parent


# First, because the distributor reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests over the lab share a lab of their own per folder, so a folder stays on one worker."""
    for item in items:
        path = item.path.relative_to(_ROOT)
        group = path.parent if item.get_closest_marker("lab") else path
        item.add_marker(pytest.mark.xdist_group(group.as_posix()))
