"""One folder or file per technology: how to reach it, and what can be done with it."""
