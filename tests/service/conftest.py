"""The world for all tests of use cases."""

from tests.service.world import world

__all__ = ["world"]
