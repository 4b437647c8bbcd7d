"""The world for all tests of use cases."""

from tests.service.simulated import simulated
from tests.service.world import world

__all__ = ["simulated", "world"]
