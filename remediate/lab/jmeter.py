"""Apache JMeter, laid out as its own distribution is, from the parts that its authors publish for Maven.

Debian's own package (2.13) does not run on Debian's Java. Nothing of it keeps running: it is there or not.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from remediate.lab.command import run
from remediate.lab.data import FILES, digest
from remediate.lab.interface import Item, Progress
from remediate.lab.layout import MAIN, Layout
from remediate.lab.locks import locked

SOURCE = FILES / "jmeter"
PACKAGES = ("openjdk-17-jre-headless", "maven")
BUILD_SECONDS = 900.0
#: Of the configuration's archive: what JMeter reads at its start.
_SETTINGS = ("jmeter", "saveservice", "upgrade", "reportgenerator", "user", "system")


class JMeter:
    """One installation for all labs of the machine, below their cache (70 MB)."""

    name = "jmeter"

    def __init__(self, layout: Layout = MAIN) -> None:
        self.root = layout.cache / "jmeter"

    @property
    def home(self) -> Path:
        """Where this version lies, or will."""
        return self.root / f"jmeter-{digest(SOURCE)}"

    @property
    def program(self) -> Path:
        """What `JMeterPlan` runs."""
        return self.home / "bin" / "jmeter"

    # Component

    def packages(self) -> tuple[str, ...]:
        """Java, and Maven to fetch the rest."""
        return PACKAGES

    def up(self, progress: Progress) -> None:
        """Fetch it, once (a minute)."""
        with locked(self.root / "lock", progress):
            if self.program.exists():
                return
            progress("fetching JMeter, once (70 MB)")
            part = self.root / "part"
            shutil.rmtree(part, ignore_errors=True)
            self._lay_out(part)
            for older in self.root.glob("jmeter-*"):
                shutil.rmtree(older)
            part.rename(self.home)
            shutil.rmtree(self.root / "repository", ignore_errors=True)

    def down(self) -> None:
        """Nothing of it runs; the cache stays."""

    def reset(self, progress: Progress) -> None:
        """It has no state."""

    def status(self) -> tuple[Item, ...]:
        """Whether it is there."""
        return (Item(self.name, str(self.program), "up" if self.program.exists() else "down"),)

    # Machinery

    def _lay_out(self, home: Path) -> None:
        """Everything where JMeter looks for it (JMeter manual, "Classpath")."""
        library, extensions, programs = home / "lib", home / "lib" / "ext", home / "bin"
        for folder in (extensions, programs, library / "junit"):
            folder.mkdir(parents=True)
        run(
            "mvn",
            "--batch-mode",
            "--quiet",
            f"--file={SOURCE / 'pom.xml'}",
            f"-Dmaven.repo.local={self.root / 'repository'}",
            f"-DoutputDirectory={library}",
            "dependency:copy-dependencies",
            timeout=BUILD_SECONDS,
        )
        for archive in library.glob("ApacheJMeter_*.jar"):
            archive.rename(extensions / archive.name)
        next(library.glob("ApacheJMeter-*.jar")).rename(programs / "ApacheJMeter.jar")
        with zipfile.ZipFile(next(extensions.glob("ApacheJMeter_config-*.jar"))) as settings:
            for name in (*(f"{part}.properties" for part in _SETTINGS), "log4j2.xml"):
                (programs / name).write_bytes(settings.read(f"bin/{name}"))
        shutil.copy(SOURCE / "jmeter", programs / "jmeter")
