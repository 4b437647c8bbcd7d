"""For authors' own tests: a pytest plugin that proves the rollback of their runbooks in the lab."""
