"""Carries out approved fixes on real infrastructure, one verified step at a time."""

__version__ = "0.1.0"
