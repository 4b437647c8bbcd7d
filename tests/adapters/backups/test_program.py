"""Programs that dump and load: judged by more than their exit code, and never left behind."""

from __future__ import annotations

import os
import time

import pytest

from remediate.adapters.ansible import processes
from remediate.adapters.databases.dumps.contents import entries_of
from remediate.adapters.databases.dumps.mariadb import _whole, _WithoutSandbox
from remediate.adapters.databases.dumps.program import Command, Program, Satisfied, run
from remediate.adapters.databases.dumps.sections import TableSections
from remediate.errors import StepFailed

TOKEN = f"run.{os.getpid()}.s01.1"


def shell(script: str, timeout: float = 10.0) -> Program:
    """A program that behaves as told."""
    return Program(Command(("sh", "-c", script)), TOKEN, timeout)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo whole; echo broken >&2; exit 3", "sh ended with exit code 3: broken"),
        ("echo whole; echo 'x: Error: it lies' >&2", "ended with exit code 0: x: Error: it lies"),
        ("echo whole; echo 'mysqldump: Error 1412: changed' >&2", "Error 1412"),
        ("kill -9 $$", "killed by signal 9"),
    ],
)
def test_how_it_ends_badly(script: str, why: str) -> None:
    with shell(script) as program, pytest.raises(StepFailed, match=why):
        list(program.output())


def test_a_warning_is_no_error() -> None:
    with shell("cat; echo 'warning: of 3 errors, none' >&2") as program:
        program.write(b"in")
        assert list(program.output()) == [b"in"]
        assert program.finish() == "warning: of 3 errors, none"


def test_too_slow_and_all_its_children_are_killed() -> None:
    began = time.monotonic()
    with shell("sleep 30 & sleep 30", 0.1) as program, pytest.raises(StepFailed, match="not done in time"):
        list(program.output())
    assert time.monotonic() - began < 5
    assert not processes.find([f"{processes.TOKEN}={TOKEN}"])


def test_it_is_killed_when_it_is_left() -> None:
    with shell("sleep 30"):
        assert processes.find([f"{processes.TOKEN}={TOKEN}"])
    assert not processes.find([f"{processes.TOKEN}={TOKEN}"])


def test_one_that_needs_no_more_input() -> None:
    with shell("head -c 1 > /dev/null") as program, pytest.raises(Satisfied):
        program.write(bytes(1 << 24))


def test_files_that_are_nowhere() -> None:
    text = "password = 's3cret'"
    command = Command(("sh", "-c", "stat -Lc %a {file:options}; cat {file:options}"), files={"options": text})
    assert run(command, TOKEN, 10) == f"600\n{text}"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(StepFailed, match="no-such-dump can't be started here"):
        run(Command(("no-such-dump",)), TOKEN, 10)


def test_a_dump_without_its_end() -> None:
    assert b"".join(_whole(iter([b"x\n-- Dump comp", b"leted\n"]))) == b"x\n-- Dump completed\n"
    with pytest.raises(StepFailed, match="not whole"):
        list(_whole(iter([b"x\n-- Dump completed\n", b"INSERT"])))


class Taken:
    """A loader that keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def finish(self) -> str:
        return ""


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_sandbox_line_is_not_shown(size: int) -> None:
    dump = b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n"
    for text, wanted in ((dump, b" \n-- MariaDB dump\n"), (b"-- old\n", b"-- old\n")):
        taken = Taken()
        loader = _WithoutSandbox(taken)
        for start in range(0, len(text), size):
            loader.write(text[start : start + size])
        loader.finish()
        assert taken.data == wanted


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_sections_of_a_dump(size: int) -> None:
    dump = (
        b"head\n-- Table structure for table `a`\nA\n-- Dumping data for table `a`\nINSERT a\n"
        b"-- Table structure for table `b``c`\nB\n-- Temporary table structure for view `v`\nV\n"
        b"-- Dumping routines for database\n-- Table structure for table `a`\nR\n-- Dump completed\n"
    )
    for names, wanted in (({"a"}, b"AI"), ({"b`c"}, b"B"), ({"a", "b`c"}, b"AIB")):
        taken = Taken()
        sections = TableSections(names, taken.write)
        for start in range(0, len(dump), size):
            sections.write(dump[start : start + size])
        sections.finish()
        lines = [line for line in taken.data.splitlines() if not line.startswith(b"--")]
        assert b"".join(line[:1] for line in lines) == b"h" + wanted
    with pytest.raises(StepFailed, match="no table c"):
        TableSections({"c"}, Taken().write).finish()


def test_entries_of_a_table() -> None:
    listing = """;
; Archive
215; 1259 16384 TABLE public two words postgres
214; 1259 16385 SEQUENCE public two words_id_seq postgres
3350; 0 0 SEQUENCE OWNED BY public two words_id_seq postgres
3351; 0 0 SEQUENCE SET public two words_id_seq postgres
3340; 0 16384 TABLE DATA public two words postgres
3346; 0 0 ACL public TABLE two words postgres
3347; 0 0 COMMENT public COLUMN two words.id postgres
3348; 0 0 ACL public TABLE two postgres
216; 1259 16400 TABLE public two postgres
3201; 2606 16392 FK CONSTRAINT public other other_fk postgres"""
    found = [line.partition(";")[0] for line in entries_of(listing, {16384, 16385, 16392})]
    assert found == ["215", "214", "3350", "3351", "3340", "3346", "3347", "3201"]
