"""A short look at a host's packages: their headers only, bounded in time, number and size."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from remediate.adapters.hosts.client import connect
from remediate.errors import StepFailed
from remediate.model.step import Context

#: So many packets, and so many bytes of each, are kept: 96 hold the headers of IPv6 with TCP and its options.
PACKETS = 10_000
BYTES = 96
LONGEST = 300.0
_LARGEST = 4 << 20
#: Exit codes of ``timeout``: the program's own, and the one that says its time was over.
_FINE = (0, 124)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How long, and which packets in pcap-filter(7)'s words; without any, all but those of our own SSH."""

    seconds: float
    filter: str = ""


def capture(context: Context, wanted: Wanted) -> bytes:
    """The packets as a pcap file.

    Meanwhile it lies in the host's ``/run``, which is memory; should this process die, it stays there until
    the next boot, at most a megabyte. The host itself ends the capture.

    Raises:
        StepFailed: tcpdump is not there, or refuses.
    """
    client = connect(context)
    path = f"/run/remediate-{context.token.run}.pcap"
    expression = wanted.filter or f"not port {context.target.port}"
    argv = ["timeout", "--signal=INT", "--kill-after=5", f"{wanted.seconds:g}"]
    argv += ["tcpdump", "-i", "any", "-n", "-p", "-q", "-U", "-Z", "root"]
    argv += ["-s", str(BYTES), "-c", str(PACKETS)]
    # After "--" no word of the filter can be taken for an option.
    argv += ["-w", path, "--", *expression.split()]
    try:
        outcome = client.query(argv, wanted.seconds + 10)
        if outcome.code not in _FINE:
            raise StepFailed(f"tcpdump {outcome.ending}: {outcome.said.strip()}", "apt-get install tcpdump")
        return client.read(path, _LARGEST)
    finally:
        with suppress(StepFailed):
            client.remove(path)
