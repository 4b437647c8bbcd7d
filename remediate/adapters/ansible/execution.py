"""Run one job with ansible-runner and listen until it has ended."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediate.adapters.ansible import private, processes
from remediate.adapters.ansible.events import Recording
from remediate.adapters.ansible.job import Job
from remediate.errors import InputError

# What Ansible needs of this process's environment. The rest may hold secrets, or settings that nobody
# approved: ansible-runner writes the environment to a file.
_PASSED = """
    HOME USER LOGNAME LANG TZ TMPDIR XDG_RUNTIME_DIR SSH_AUTH_SOCK KRB5CCNAME
    ANSIBLE_VAULT_PASSWORD_FILE ANSIBLE_VAULT_IDENTITY_LIST
""".split()
_FROM_RUNNER = """
    ANSIBLE_CALLBACK_PLUGINS ANSIBLE_STDOUT_CALLBACK AWX_ISOLATED_DATA_DIR
    RUNNER_OMIT_EVENTS RUNNER_ONLY_FAILED_EVENTS
""".split()
_FIXED = {
    "ANSIBLE_CALLBACKS_ENABLED": "remediate_token",
    "ANSIBLE_HOST_KEY_CHECKING": "True",
    "ANSIBLE_INVENTORY_ENABLED": "yaml",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    # A task is never sent twice: the first time it may have run before the connection broke.
    "ANSIBLE_SSH_RETRIES": "0",
    "PYTHONUNBUFFERED": "1",
    "LC_ALL": "C.UTF-8",
}
_PLUGINS = Path(__file__).parent / "plugins"
_SKIPPED = "skipped.jsonl"
_SOCKETS_KEPT = 86400.0


@dataclass(frozen=True)
class Run:
    """What came of one call."""

    recording: Recording
    code: int | None
    killed: bool
    """It did not end by itself in time, or the listening to it broke: silence proves nothing."""


def execute(job: Job, fence: Callable[[], object] = lambda: None) -> Run:
    """Run the job to its end, or to the end of its time.

    Args:
        fence: asked right before it starts, because preparing it takes a while; see `Clients.fence`.

    Raises:
        InputError: it can't even be prepared; nothing was started.
    """
    prepared = _prepared(job)
    folder = prepared.folder
    recording = Recording()
    try:
        with private.pipes(prepared, job.timeout) as secrets, _deadline(job) as late:
            code = _run(job, folder, secrets, recording, fence)
        if (skipped := folder / _SKIPPED).is_file():
            recording.take_skipped(skipped.read_text(encoding="utf-8"))
        return Run(recording, code, late.is_set() or code is None)
    finally:
        # After a clean end there is nothing left to find, and looking through all processes takes time.
        if recording.stats is None:
            processes.end([_mark(job)])
        private.discard(folder)


def _prepared(job: Job) -> private.Private:
    try:
        return private.prepare(job)
    except OSError as error:
        private.discard(job.folder)
        why = error.strerror or str(error)
        raise InputError(f"{job.folder} can't be written: {why}", "make room, or mend the disk") from None


def _mark(job: Job) -> str:
    return f"{processes.CALL}={job.call}"


def _run(
    job: Job, folder: Path, secrets: list[str], recording: Recording, fence: Callable[[], object]
) -> int | None:
    """The exit code; None if ansible-runner lost sight of the process."""
    from ansible_runner import Runner, RunnerConfig

    options = [*secrets, *["--check"] * job.check, *["--diff"] * job.diff]
    config: Any = RunnerConfig(
        private_data_dir=str(folder),
        project_dir=str(job.artefacts),
        playbook=str(folder / "play.json"),
        inventory=str(folder / "hosts.json"),
        limit=f"@{folder / 'limit'}",
        extravars=str(folder / "vars.json"),
        tags=",".join(job.tags) or None,
        skip_tags=",".join(job.skip_tags) or None,
        cmdline=shlex.join(options) or None,
        ident="run",
        fact_cache_type="memory",
        quiet=True,
    )
    config.prepare()
    config.command[0] = str(Path(sys.executable).with_name("ansible-playbook"))
    config.env = _environment(job, folder, config.env)
    config.cwd = str(job.artefacts)
    # prepare() forgets these two when there is no settings file.
    config.suppress_output_file = config.suppress_ansible_output = True
    runner = Runner(config, event_handler=recording.take)
    fence()
    try:
        runner.run()
    except Exception as error:
        # Its way of listening broke, not the run: what was heard counts, and the final status decides.
        recording.said.append(f"ansible-runner: {type(error).__name__}: {error}")
        return None
    code: int | None = runner.rc
    return code


def _environment(job: Job, folder: Path, prepared: dict[str, str]) -> dict[str, str]:
    found = {k: os.environ[k] for k in _PASSED if k in os.environ}
    found |= {k: prepared[k] for k in _FROM_RUNNER if k in prepared} | _FIXED
    config = job.artefacts / "ansible.cfg"
    if not config.is_file():
        config = folder / "ansible.cfg"
        config.touch(mode=0o600)
    programs = [str(Path(sys.executable).parent), "/usr/local/sbin", "/usr/local/bin"]
    if job.check:
        found["REMEDIATE_SKIPPED"] = str(folder / _SKIPPED)
    if job.cut:
        found |= {"ANSIBLE_CALLBACKS_ENABLED": "remediate_token,remediate_cut", "REMEDIATE_CUT": str(job.cut)}
    return found | {
        "PATH": os.pathsep.join([*programs, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
        "ANSIBLE_CALLBACK_PLUGINS": f"{_PLUGINS}:{found['ANSIBLE_CALLBACK_PLUGINS']}",
        "ANSIBLE_CONFIG": str(config),
        # Not ~/.ansible: roles, collections and plugins there are in no plan.
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(_sockets(job)),
        processes.TOKEN: job.token,
        processes.CALL: job.call,
    }


def _sockets(job: Job) -> Path:
    """Where shared SSH connections of this run live: a connection opened with less care is never reused.

    The path is short, because a socket's path has at most 107 bytes.
    """
    base = Path(tempfile.gettempdir()) / f"remediate-{os.getuid()}"
    folder = base / hashlib.sha256(job.token.partition(".")[0].encode()).hexdigest()[:12]
    for path in (base, folder):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
            raise InputError(f"{path}: not a private directory of this user", f"rm -r {base}")
    for old in base.iterdir():
        with suppress(OSError):
            if old != folder and time.time() - old.stat().st_mtime > _SOCKETS_KEPT:
                shutil.rmtree(old)
    os.utime(folder)
    return folder


@contextmanager
def _deadline(job: Job) -> Iterator[threading.Event]:
    """End the job's processes when its time is over; the event tells whether that happened.

    ansible-runner looks at its own timeout only every few seconds, and kills without looking whether
    anything is left.
    """
    late, done = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(job.timeout):
            late.set()
            while not processes.end([_mark(job)]) and not done.is_set():
                pass

    thread = threading.Thread(target=watch, name=f"deadline {job.token}", daemon=True)
    thread.start()
    try:
        yield late
    finally:
        done.set()
        thread.join()
