"""A document as one HTML page that needs nothing else: no script, no font, no image, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, assert_never

from remediate.report.document import (
    Block,
    Bullets,
    Code,
    Diff,
    Document,
    Facts,
    Heading,
    Notice,
    Paragraph,
    Table,
)

if TYPE_CHECKING:
    from jinja2 import Environment


def render(document: Document) -> str:
    """The document as a complete page with a line feed at the end."""
    environment = _environment()
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        title=document.title,
        blocks=[_block(block) for block in document.blocks],
        style=style,
        # The hash allows this one style sheet and nothing that a page could be tricked into.
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("remediate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _style() -> str:
    return (resources.files("remediate.report") / "templates" / "page.css").read_text(encoding="utf-8")


def _block(block: Block) -> str:  # noqa: PLR0911 - one return for each type of block
    """One block as safe markup, by the macro of its name."""
    macros: Any = _environment().get_template("blocks.html").module
    match block:
        case Heading():
            return _call(macros.heading, block.text, block.level)
        case Paragraph():
            return _call(macros.paragraph, [part.split("\n") for part in block.text.split("\n\n")])
        case Facts():
            return _call(macros.facts, block.items)
        case Table():
            return _call(macros.table, block.columns, block.rows)
        case Diff():
            return _call(macros.diff, block.title, block.targets, block.lines())
        case Code():
            return _call(macros.code, block.text)
        case Bullets():
            return _call(macros.bullets, block.items)
        case Notice():
            return _call(macros.notice, block.level.value, block.text)
        case _:
            assert_never(block)


def _call(macro: Callable[..., str], *values: object) -> str:
    return macro(*values)
