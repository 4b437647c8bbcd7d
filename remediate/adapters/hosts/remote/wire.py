"""Frames over stdin and stdout: two lengths, JSON, then raw bytes."""

import json
import os
import select
import struct
import time

MYPY = False
if MYPY:
    from collections.abc import Callable, Mapping
    from typing import Any

    Answer = tuple[dict[str, Any], bytes]

HEADER = struct.Struct(">II")
#: Written once before the first frame: whatever a login script printed before it is not ours.
MARK = b"\n\0remediate agent 1\0\n"
#: Longest JSON or payload of one frame, in bytes; more is a protocol error, never an allocation.
LONGEST = 64 << 20
#: An agent that nobody asks anything for so long has been forgotten.
IDLE_SECONDS = 3600.0
#: CLOCK_BOOTTIME, which also goes on while a machine sleeps; Python 3.6 has no name for it.
_SINCE_BOOT = 7
#: Until when the client waits for the request at work; None if it did not say.
_until: "list[float | None]" = [None]


class Refusal(Exception):
    """The request can't be done as asked; the client shows it with its advice."""

    def __init__(self, problem: str, advice: str = "") -> None:
        Exception.__init__(self, problem)
        self.problem = problem
        self.advice = advice


def clock() -> float:
    """Seconds since this machine was booted."""
    return time.clock_gettime(_SINCE_BOOT)


def in_time() -> None:
    """Asked right before an effect. Whoever waited in vain has looked for it, and must not be made a liar.

    Raises:
        Refusal: nobody waits for this request any more.
    """
    if _until[0] is not None and clock() > _until[0]:
        raise Refusal("the request came, or was ready, when nobody waited for it any more; nothing was done")


def _exactly(count: int) -> bytes:
    """That many bytes from stdin, or fewer at its end. No read-ahead: select must see what is left."""
    parts = []
    while count > 0:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _receive() -> "tuple[dict[str, Any], bytes] | None":
    """The next request, or None when the client is gone."""
    ready, _, _ = select.select([0], [], [], IDLE_SECONDS)
    header = _exactly(HEADER.size) if ready else b""
    if len(header) < HEADER.size:
        return None
    length, extra = HEADER.unpack(header)
    if length > LONGEST or extra > LONGEST:
        return None
    body = _exactly(length + extra)
    if len(body) < length + extra:
        return None
    return json.loads(body[:length].decode()), body[length:]


def send(message: "Mapping[str, Any]", payload: bytes = b"") -> None:
    """One frame to stdout. Names that are not UTF-8 travel as escaped surrogates."""
    text = json.dumps(message).encode()
    data = HEADER.pack(len(text), len(payload)) + text + payload
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _answer(
    handlers: "Mapping[str, Callable[..., Answer]]",
    request: "dict[str, Any]",
    payload: bytes,
) -> "tuple[dict[str, Any], bytes]":
    handler = handlers.get(request.pop("op", ""))
    asked = request.get("path")
    _until[0] = request.pop("until", None)
    try:
        in_time()
        if handler is None:
            raise Refusal("the agent doesn't know this request")
        if payload:
            request["payload"] = payload
        return handler(**request)
    except Refusal as refusal:
        return {"refused": refusal.problem, "advice": refusal.advice}, b""
    except OSError as error:
        # Inside, names are relative to an open directory: the path that was asked for says more.
        where = asked or (os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else "")
        return {"refused": "{}{}".format(error.strerror or error, ": " + where if where else "")}, b""
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}, b""


def serve(handlers: "Mapping[str, Callable[..., Answer]]", hello: "Mapping[str, Any]") -> None:
    """Greet, then answer one request after the other until the client is gone."""
    os.write(1, MARK)
    send(dict(hello, clock=clock()))
    while True:
        frame = _receive()
        if frame is None:
            return
        request, payload = frame
        number = request.pop("number", 0)
        answer, extra = _answer(handlers, request, payload)
        answer["number"] = number
        send(answer, extra)
