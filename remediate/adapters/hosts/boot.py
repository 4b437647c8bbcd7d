"""The agent's program, as it is sent: its modules, packed, and the one line that unpacks them."""

from __future__ import annotations

import json
import zlib
from functools import cache
from importlib.resources import files

from remediate.adapters.hosts import remote

#: In the order in which they can be run.
_MODULES = "wire paths commands look put facts debs processes jobs whole main".split()

_LOADER = """
import json, sys, types
def load(name, text):
    module = types.ModuleType(name)
    module.__package__ = "agent"
    sys.modules[name] = module
    exec(compile(text, name, "exec"), module.__dict__)
    setattr(sys.modules["agent"], name.rpartition(".")[2], module)
package = sys.modules["agent"] = types.ModuleType("agent")
package.__path__ = []
for name, text in json.loads(SOURCES):
    load("agent." + name, text)
sys.modules["agent.main"].run()
"""


@cache
def program() -> bytes:
    """The whole program, compressed; it is read from stdin, so no length limit of a command line applies."""
    folder = files(remote)
    sources = [[name, (folder / f"{name}.py").read_text(encoding="utf-8")] for name in _MODULES]
    text = _LOADER.replace("SOURCES", repr(json.dumps(sources)))
    return zlib.compress(text.encode(), 9)


def first_line(length: int) -> str:
    """What ``python3 -c`` is given: read that many bytes from stdin and run them.

    It has no quote, dollar or exclamation mark that a login shell could see inside single quotes.
    """
    return (
        r'exec("import os,zlib\nb=bytes()\n'
        rf"while len(b)<{length}: b+=os.read(0,{length}-len(b)) or os._exit(9)\n"
        r'exec(zlib.decompress(b))")'
    )
