"""Turns ``--set key=value`` into a runbook's typed inputs, with errors that name the input."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from remediate.errors import InputError
from remediate.model.base import Frozen
from remediate.model.runbook import Runbook
from remediate.model.wording import problems


def parse_inputs(runbook: type[Runbook], settings: Sequence[str]) -> Frozen:
    """The runbook's inputs from ``key=value`` texts; a value may be JSON (lists, numbers, true).

    Raises:
        InputError: naming the first input that is unknown, missing, repeated or of the wrong form.
    """
    model = runbook.Inputs
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting!r}: not key=value")
        if key not in model.model_fields:
            raise InputError(f"--set {key}: {runbook.name()} has no such input", _known(key, model))
        if key in values:
            raise InputError(f"--set {key}: given twice")
        values[key] = _value(text, model.model_fields[key].annotation)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = problems(error)[0]
        key = first.field or "inputs"
        if first.kind == "missing":
            raise InputError(f"{runbook.name()} needs the input {key!r}", f"add: --set {key}=…") from None
        field = model.model_fields.get(first.loc[0]) if first.loc else None
        advice = field.description if field is not None and field.description else ""
        raise InputError(f"--set {key}: {first.text}", f"expected: {advice}" if advice else "") from None


def _value(text: str, annotation: object) -> Any:
    if annotation is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _known(key: str, model: type[Frozen]) -> str:
    close = difflib.get_close_matches(key, model.model_fields, 1)
    return f"did you mean {close[0]}?" if close else f"it has: {', '.join(model.model_fields) or 'no inputs'}"
