"""One file per ticket system."""
