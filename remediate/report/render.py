"""One document, one of its forms."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from remediate.report.document import Document


class Format(StrEnum):
    """The surfaces that a document can be written for."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


def render(document: Document, format_: Format | str) -> str:
    """The document in this format, with a line feed at the end.

    Raises:
        ValueError: there is no such format.
    """
    format_ = Format(format_)
    match format_:
        case Format.TEXT:
            from remediate.report import text

            return text.render(document)
        case Format.MARKDOWN:
            from remediate.report import markdown

            return markdown.render(document)
        case Format.HTML:
            from remediate.report import html

            return html.render(document)
        case Format.JSON:
            from remediate.report import json

            return json.render(document)
        case _:
            assert_never(format_)
