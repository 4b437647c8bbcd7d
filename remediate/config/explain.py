"""Says where in `remediate.toml` a setting is wrong, and which key was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from remediate.errors import InputError
from remediate.model.wording import problems


def explain(
    model: type[BaseModel],
    error: ValidationError,
    file: Path,
    text: str,
    sources: Mapping[tuple[str, ...], str],
) -> InputError:
    """All problems of one file as one error; ``sources`` names the variables that overrode a field."""
    lines = []
    for problem in problems(error):
        loc, message = problem.loc, problem.text
        if problem.kind == "extra_forbidden":
            message = f"unknown key {loc[-1]!r} ({_suggest(model, loc)})"
        where = f"{sources[loc]}: " if loc in sources else place(file, text, loc)
        lines.append(f"{where}{message}")
    return InputError("\n".join(lines), "correct the file and try again")


def _suggest(model: type[BaseModel], loc: tuple[str, ...]) -> str:
    known = _known(model, loc[:-1])
    near = difflib.get_close_matches(loc[-1], known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known) or 'none'}"


def _known(model: Any, loc: tuple[str, ...]) -> list[str]:
    """The keys that are known at this place of the file."""
    for part in loc:
        fields = getattr(model, "model_fields", {})
        annotation = fields[part].annotation if part in fields else model
        models = [a for a in (annotation, *get_args(annotation)) if hasattr(a, "model_fields")]
        if not models:
            return []
        model = models[-1]
    return sorted(set(model.model_fields) - {"root"})


def place(file: Path, text: str, loc: tuple[str, ...]) -> str:
    """``file:line: a.b: `` as far as the line can be found; tomllib keeps no positions."""
    table: tuple[str, ...] = ()
    best, line_number = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\]]+)\]", line):
            table = _keys(header[1])
            here = table
        elif key := re.match(r"""\s*([\w."' -]+?)\s*=""", line):
            here = (*table, *_keys(key[1]))
        else:
            continue
        if here == loc[: len(here)] and len(here) > best:
            best, line_number = len(here), number
    line_text = f":{line_number}" if line_number else ""
    return f"{file}{line_text}: {'.'.join(loc)}: " if loc else f"{file}: "


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip(" \"'") for part in re.findall(r'"[^"]*"|\'[^\']*\'|[^.]+', dotted))
