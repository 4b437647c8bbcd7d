"""One private MariaDB and one private PostgreSQL for all tests of this folder."""

from tests.adapters.databases.servers import mariadb, postgres, server

__all__ = ["mariadb", "postgres", "server"]
