"""Finds runbooks: every `Runbook` subclass in the Python files of the project's runbooks folder."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from remediate.errors import InputError
from remediate.model.base import sha256
from remediate.model.plan import Artefact
from remediate.model.runbook import Runbook
from remediate.model.wording import wrong


@dataclass(frozen=True, slots=True)
class Loaded:
    """A runbook class and the file that it came from."""

    runbook: type[Runbook]
    source: Artefact

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return self.runbook.name()


def load_runbooks(folder: Path, project: Path) -> dict[str, Loaded]:
    """All runbooks of a project by name, sorted.

    Raises:
        InputError: a file can't be imported, two runbooks share a name, or one is incomplete.
    """
    if not folder.is_dir():
        raise InputError(f"there is no runbooks folder {folder}", "make it, or set project.runbooks")
    found: dict[str, Loaded] = {}
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        module = _import(path)
        source = artefact(path, project)
        for value in vars(module).values():
            if not _is_runbook(value, module):
                continue
            loaded = Loaded(value, source)
            if loaded.name in found:
                raise InputError(
                    f"{path}: runbook {loaded.name} exists already in {found[loaded.name].source.path}"
                )
            _check(path, value)
            found[loaded.name] = loaded
    return dict(sorted(found.items()))


def find_runbook(name: str, folder: Path, project: Path) -> Loaded:
    """The runbook with this name.

    Raises:
        InputError: there is none; the message names those that are there.
    """
    runbooks = load_runbooks(folder, project)
    if name not in runbooks:
        names = ", ".join(runbooks) or "none"
        raise InputError(f"there is no runbook {name!r} in {folder}", f"these are there: {names}")
    return runbooks[name]


def artefact(path: Path, project: Path) -> Artefact:
    """Digest and size of one file, under its project-relative name.

    Raises:
        InputError: the file can't be read or lies outside the project.
    """
    try:
        data = path.read_bytes()
        name = path.resolve().relative_to(project.resolve()).as_posix()
        name.encode()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeEncodeError:
        # A plan is text.
        raise InputError(f"{str(path)!r}: a name that is not UTF-8", "rename the file") from None
    except ValueError:
        raise InputError(f"{path} lies outside the project {project}") from None
    return Artefact(path=name, sha256=sha256(data), size=len(data))


def _is_runbook(value: object, module: ModuleType) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, Runbook)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    )


def _check(path: Path, runbook: type[Runbook]) -> None:
    where = f"{path}:{inspect.getsourcelines(runbook)[1]}: {runbook.__name__}"
    if not runbook.description():
        raise InputError(f"{where} has no docstring", "say in one line what it fixes")
    if not hasattr(runbook, "risk"):
        raise InputError(f"{where} has no risk", 'add: risk = Risk(outage="…", data_loss="…")')


def _import(path: Path) -> ModuleType:
    name = "remediate_runbooks." + re.sub(r"\W", "_", str(path.resolve()))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's own code: whatever it raises is theirs to see
        del sys.modules[name]
        said = wrong(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{place(path, error)}: {said}") from error
    finally:
        sys.dont_write_bytecode = writes
    return module


def place(path: Path, error: BaseException) -> str:
    """``FILE:LINE`` of the last line of this runbook that an error came through."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"{path}:{frames[-1].lineno}" if frames else str(path)
