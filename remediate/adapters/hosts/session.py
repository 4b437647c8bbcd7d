"""Requests and answers: each with a deadline, and an honest error when nobody knows what happened."""

from __future__ import annotations

import json
import math
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any

from remediate.adapters.hosts.access import Access
from remediate.adapters.hosts.boot import program
from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.hosts.pipe import Pipe, PipeLost
from remediate.adapters.hosts.remote.wire import HEADER, LONGEST, MARK, clock
from remediate.errors import InDoubt, StepFailed

#: A login script may print this much before the agent greets.
_LONGEST_GREETING = 64 << 10
_SUDO_ADVICE = (
    "let this user run the Python interpreter with sudo without a password, or set ansible_become to false"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent said."""

    fields: dict[str, Any]
    payload: bytes


class Session:
    """One agent, used by any number of threads: requests go out in turn, answers are told by number."""

    def __init__(self, access: Access, pipe: Pipe) -> None:
        self.name, self.mark = access.name, access.mark
        self._pipe = pipe
        self._sending = threading.Lock()
        self._state = threading.Condition()
        self._buffer = bytearray()
        self._answers: dict[int, Answer] = {}
        self._reading = False
        self._number = 0
        self.broken = ""
        """Why the session can't be used any more; empty while it can."""
        try:
            self.hello = self._greet(access)
        except BaseException:
            pipe.close()
            raise

    def usable(self) -> bool:
        """Whether another request may be tried; an agent that nobody asked for an hour has ended."""
        return not self.broken and self._pipe.alive()

    @property
    def boot(self) -> str:
        """Changes with every boot of the host."""
        return str(self.hello["boot"])

    def _greet(self, access: Access) -> dict[str, Any]:
        deadline = time.monotonic() + 2 * access.connect_seconds
        try:
            self._pipe.send(program(), deadline)
            while MARK not in self._buffer:
                if len(self._buffer) > _LONGEST_GREETING:
                    raise PipeLost("it prints without end")
                self._buffer += self._pipe.receive(deadline)
            del self._buffer[: self._buffer.index(MARK) + len(MARK)]
            hello = self._frame(deadline).fields
            # It was said a little earlier than it is heard: so its clock is never ahead of this.
            self._ahead = float(hello["clock"]) - clock()
            return hello
        except PipeLost as lost:
            said = self._pipe.complaints()
            advice = f"{access.python} must be Python 3.6 or later" if said else ""
            advice = _SUDO_ADVICE if "sudo" in said else advice
            said = said or str(lost)
            raise Unreachable(
                f"{self.name}: can't start the agent: {said}; nothing was done", advice
            ) from None

    def ask(
        self,
        op: str,
        *,
        effect: bool,
        seconds: float,
        payload: bytes = b"",
        fields: dict[str, Any] | None = None,
        until: float = math.inf,
    ) -> Answer:
        """One request and its answer.

        Args:
            op: what the agent is to do.
            effect: whether it changes anything.
            seconds: the deadline, from now.
            payload: raw bytes that go along.
            fields: its arguments.
            until: seconds since our boot, after which the host refuses it, whatever the deadline.

        Raises:
            Unreachable: it was not sent, or it only reads: nothing was changed by it.
            InDoubt: it was sent, and no answer came: it may have been done, or may still be.
            StepFailed: the agent answered that it can't be done.
        """
        deadline = time.monotonic() + seconds
        try:
            number = self._send(op, fields or {}, payload, deadline, until)
        except PipeLost as lost:
            self._break(str(lost))
            raise Unreachable(
                f"{self.name}: {lost}; the request was not sent, nothing was done by it"
            ) from None
        try:
            answer = self._await(number, deadline)
        except PipeLost as lost:
            self._break(str(lost))
            if effect:
                raise InDoubt(
                    f"{self.name}: {lost} after the request ({op}) was sent; nobody knows whether it was done"
                ) from None
            raise Unreachable(
                f"{self.name}: {lost}; the request only reads, nothing was changed by it"
            ) from None
        if "refused" in answer.fields:
            raise StepFailed(f"{self.name}: {answer.fields['refused']}", answer.fields.get("advice", ""))
        return answer

    def _send(self, op: str, fields: dict[str, Any], payload: bytes, deadline: float, latest: float) -> int:
        if not self._sending.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise PipeLost("another request could not be sent in time")
        try:
            if self.broken:
                raise PipeLost(self.broken)
            self._number += 1
            # What arrives after its deadline was given up here, and may have been looked for: it is refused.
            until = self._ahead + min(clock() + deadline - time.monotonic(), latest)
            text = json.dumps({**fields, "op": op, "number": self._number, "until": until}).encode()
            if max(len(text), len(payload)) > LONGEST:
                raise StepFailed(f"{self.name}: a request of {len(text) + len(payload)} bytes is too long")
            self._pipe.send(HEADER.pack(len(text), len(payload)) + text + payload, deadline)
            return self._number
        finally:
            self._sending.release()

    def _await(self, number: int, deadline: float) -> Answer:
        """Of all threads that wait, one reads and hands out; the others wait for it."""
        while True:
            with self._state:
                while self._reading and number not in self._answers:
                    if not self._state.wait(max(0.0, deadline - time.monotonic())):
                        raise PipeLost("no answer in time")
                if number in self._answers:
                    return self._answers.pop(number)
                if self.broken:
                    raise PipeLost(self.broken)
                self._reading = True
            answer = None
            try:
                answer = self._frame(deadline)
            finally:
                with self._state:
                    if answer is not None:
                        self._answers[answer.fields.pop("number", 0)] = answer
                    self._reading = False
                    self._state.notify_all()

    def _frame(self, deadline: float) -> Answer:
        header = self._take(HEADER.size, deadline)
        try:
            length, extra = HEADER.unpack(header)
            if max(length, extra) > LONGEST:
                raise PipeLost("the answer is too long to be ours")
            body = self._take(length + extra, deadline)
            return Answer(json.loads(body[:length]), bytes(body[length:]))
        except (ValueError, struct.error):
            raise PipeLost("the answer is not ours") from None

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            if time.monotonic() > deadline:
                raise PipeLost("no answer in time")
            self._buffer += self._pipe.receive(deadline)
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _break(self, why: str) -> None:
        """After a lost answer nothing on this connection can be trusted to be in step: give it up."""
        with self._state:
            first, self.broken = not self.broken, self.broken or why
            self._state.notify_all()
        if first:
            self._pipe.close()

    def close(self) -> None:
        """End the agent; its jobs go on."""
        self._break("the connection was closed")
