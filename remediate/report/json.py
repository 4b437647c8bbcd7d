"""A document as JSON, for programs: a stable structure, one object per block."""

from __future__ import annotations

import json
from typing import assert_never

from pydantic import JsonValue

from remediate.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Diff,
    Document,
    Facts,
    Heading,
    Notice,
    Paragraph,
    Table,
)

FORMAT = "remediate.document/1"


def render(document: Document) -> str:
    """The document as indented UTF-8 JSON with a line feed at the end."""
    value = {
        "format": FORMAT,
        "title": document.title,
        "blocks": [_block(block) for block in document.blocks],
    }
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _cell(cell: Cell) -> JsonValue:
    return {"text": cell.text, "style": cell.style.value}


def _block(block: Block) -> JsonValue:  # noqa: PLR0911 - one return for each type of block
    match block:
        case Heading():
            return {"type": "heading", "level": block.level, "text": block.text}
        case Paragraph():
            return {"type": "paragraph", "text": block.text}
        case Facts():
            return {"type": "facts", "items": [{"key": k, "value": _cell(v)} for k, v in block.items]}
        case Table():
            rows: list[JsonValue] = [[_cell(value) for value in row] for row in block.rows]
            return {"type": "table", "columns": list(block.columns), "rows": rows}
        case Diff():
            return {
                "type": "diff",
                "title": block.title,
                "targets": list(block.targets),
                "text": block.text,
            }
        case Code():
            return {"type": "code", "language": block.language, "text": block.text}
        case Bullets():
            return {"type": "bullets", "items": list(block.items)}
        case Notice():
            return {"type": "notice", "level": block.level.value, "text": block.text}
        case _:
            assert_never(block)
