"""The payment module that the lab's web hosts serve if there is a database host: a package in three versions.

2.3 is what runs at the beginning: it has no place for a payment's reference, and answers 500 to a payment
that has one. 2.4 keeps it, in a column that the database does not have yet. 2.5 looks healthy, and does not
take the money from the payer.
"""

from __future__ import annotations

from remediate.lab import databases, debs
from remediate.lab.data import FILES
from remediate.lab.layout import Layout
from remediate.lab.network import address
from remediate.lab.root import Root
from remediate.lab.roster import Host

PORT = 8081
BACKEND = "payments"
PRODUCT = debs.Product(
    "payments",
    {
        "2.3-1": {"KEEPS_REFERENCE": "no", "DEBITS": "yes"},
        "2.4-1": {"KEEPS_REFERENCE": "yes", "DEBITS": "yes"},
        "2.5-1": {"KEEPS_REFERENCE": "yes", "DEBITS": "no"},
    },
)
_POOL = f"""
frontend {BACKEND}
    bind :{PORT}
    default_backend {BACKEND}

backend {BACKEND}
    balance roundrobin
    option httpchk GET /healthz
    http-check expect status 200
    default-server check inter 1s downinter 200ms fall 2 rise 1
"""


def make_payments(root: Root) -> None:
    """The image layer over that of web hosts."""
    root.copy(FILES / "pay")
    debs.build_repository(root.path / "srv/payments", PRODUCT)
    # Fetches the lists of the module's own repository as well.
    root.install("python3-pymysql")
    root.run("apt-get", "install", "--yes", f"payments={PRODUCT.first}")


def files(layout: Layout) -> dict[str, tuple[str, int]]:
    """What a web host has of its own for it, with modes: the password of its account."""
    return {"etc/payments/password": (databases.password_file(layout, databases.MODULE).read_text(), 0o600)}


def pool(layout: Layout, neighbours: tuple[Host, ...]) -> str:
    """The load balancer's configuration for it."""
    servers = [
        f"    server {host.name} {address(layout, host)}:{PORT}\n" for host in neighbours if host.pooled
    ]
    return _POOL + "".join(servers)
