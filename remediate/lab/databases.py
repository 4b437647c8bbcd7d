"""The lab's database host, db1: MariaDB with the payment module's database, and PostgreSQL.

Both listen on the host's loopback, so that SSH is the way in for whoever administers them; MariaDB also on
the lab's network, for the payment module's own account. The passwords are made once for each lab and kept
in HOME/databases, 0600; the servers take them over whenever they start.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from remediate.lab.data import FILES, write
from remediate.lab.layout import Layout
from remediate.lab.root import Root

#: Who administers both servers, and who the payment module is to MariaDB.
ADMIN = "remediate"
MODULE = "payments"
_SCHEMA = "usr/local/share/payments.sql"


def make_db(root: Root) -> None:
    """The image layer: both servers, and the payment module's database as it is at the beginning."""
    root.copy(FILES / "db")
    root.install("mariadb-server", "postgresql")
    # No server runs while an image is built; this one reads statements and ends.
    root.run("sh", "-c", f"mariadbd --user=mysql --bootstrap </{_SCHEMA}")
    root.run("runuser", "-u", "postgres", "--", "sh", "-c", _MAKE_ROLE)
    root.run("systemctl", "enable", "mariadb.service", "postgresql.service", "lab-accounts.service")


#: In single-user mode PostgreSQL reads statements from its standard input, too.
_MAKE_ROLE = (
    f"echo 'CREATE ROLE {ADMIN} SUPERUSER LOGIN' | /usr/lib/postgresql/*/bin/postgres --single "
    "-D /var/lib/postgresql/*/main -c config_file=$(echo /etc/postgresql/*/main/postgresql.conf) postgres"
)


def password_file(layout: Layout, account: str) -> Path:
    """Where an account's password is."""
    return layout.home / "databases" / account


def ensure(layout: Layout) -> None:
    """Make the passwords that are missing."""
    for account in (ADMIN, MODULE):
        path = password_file(layout, account)
        if not path.exists():
            write(path, secrets.token_urlsafe(18) + "\n", 0o600)


def variables(layout: Layout) -> dict[str, str]:
    """What an inventory says about both servers of db1; the password as a reference."""
    reference = f"file:{password_file(layout, ADMIN)}"
    accounts = {f"{engine}_user": ADMIN for engine in ("mariadb", "postgres")}
    return accounts | {f"{engine}_password": reference for engine in ("mariadb", "postgres")}


def accounts(layout: Layout) -> dict[str, tuple[str, int]]:
    """Files of the host, with their modes, from which the servers take their accounts at each start."""
    admin, module = (password_file(layout, name).read_text().strip() for name in (ADMIN, MODULE))
    network = f"{layout.network}.%"
    mariadb = (
        f"CREATE OR REPLACE USER {ADMIN}@127.0.0.1 IDENTIFIED BY '{admin}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {ADMIN}@127.0.0.1 WITH GRANT OPTION;\n"
        f"CREATE OR REPLACE USER {MODULE}@'{network}' IDENTIFIED BY '{module}';\n"
        f"GRANT SELECT, INSERT, UPDATE ON payments.* TO {MODULE}@'{network}';\n"
    )
    postgres = f"ALTER ROLE {ADMIN} PASSWORD '{admin}';\n"
    return {"etc/lab/mariadb.sql": (mariadb, 0o600), "etc/lab/postgres.sql": (postgres, 0o600)}
