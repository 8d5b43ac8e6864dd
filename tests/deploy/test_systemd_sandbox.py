"""What the units forbid, the programs do not need: both run without writable code while every system call is traced.

The kernel's own switch stands for `MemoryDenyWriteExecute`; calls, files and sockets are held against the units' lists.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path

import pytest

from broker.moving import move_ledger
from broker.settings import load
from keys.custody import durable
from keys.frame import new_frame_key
from tests import broker_process, cluster, gateway_world
from tests.deploy.test_systemd_units import service_of
from tests.world import make_world

pytestmark = pytest.mark.loopback
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
START_SECONDS = 60
CALL = re.compile(r"^\d+\s+(?:<\.\.\. )?(\w+)")
OPENED = re.compile(r'openat\([^,]+, "([^"]+)", ([A-Z_|]+)')
SOCKET = re.compile(r"\bsocket\((AF_\w+|PF_\w+)")
WRITING = ("O_WRONLY", "O_RDWR", "O_CREAT")
ROOTS_ALONE = {"fchown"}
"""SQLite calls it as root only, which the services are not."""

ASKED_IN_VAIN = {"/proc/stat", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/random/boot_id"}
"""prometheus_client looks for the boot time at import, the C library's allocator for a setting, a file that is being filled
for the machine's life, without which it is filled anew after a kill: all do without."""


@cache
def expanded(group):
    """Return the system calls of a systemd group."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    names = [line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return frozenset().union(*(expanded(name) if name.startswith("@") else {name} for name in names))


def allowed(name):
    with_, without = service_of(name)["SystemCallFilter"]
    refused = frozenset().union(*(expanded(group) for group in without.removeprefix("~").split()))
    return frozenset().union(*(expanded(group) for group in with_.split())) - refused


DENY_WRITABLE_CODE = (
    f"import ctypes, os, sys; refused = ctypes.CDLL(None).prctl({PR_SET_MDWE}, {REFUSE_EXEC_GAIN}, 0, 0, 0)"
)
LAUNCH = (sys.executable, "-c", f"{DENY_WRITABLE_CODE}; os.execvp(sys.argv[1], sys.argv[1:])")


def kernel_denies():
    done = subprocess.run([sys.executable, "-c", f"{DENY_WRITABLE_CODE}; sys.exit(refused != 0)"], check=False)
    return done.returncode == 0


@pytest.fixture(scope="module", autouse=True)
def tools():
    for tool in ("strace", "systemd-analyze"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("processes cannot be traced here")


class Traced:
    """A command under trace, with the environment that the service manager gives it."""

    def __init__(self, words, work, environment):
        self.trace = work / "trace"
        self.state, self.credentials = work / "state", work / "credentials"
        keep = {
            "PATH": os.environ["PATH"],
            "CREDENTIALS_DIRECTORY": str(self.credentials),
            "PYTHONDONTWRITEBYTECODE": "1",  # what is in /opt is there compiled
        }
        self.out = (work / "out").open("ab")
        self.popen = subprocess.Popen(
            [*LAUNCH, "strace", "-f", "-qq", "-s", "300", "-o", str(self.trace), *broker_process.COMMAND, *words],
            stdout=self.out,
            stderr=self.out,
            env={**keep, **environment},
            cwd="/",
        )

    def __enter__(self):
        until = time.monotonic() + START_SECONDS
        while not (self.state / "address").exists():
            assert self.popen.poll() is None, Path(self.out.name).read_text()
            assert time.monotonic() < until, Path(self.out.name).read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            os.kill(int(self.trace.read_text().split(maxsplit=1)[0]), signal.SIGTERM)
            try:
                self.popen.wait(30)
            finally:
                self.popen.kill()
        self.out.close()

    def fetch(self, file, target):
        base = (self.state / file).read_text().strip()
        with urllib.request.urlopen(f"{base}{target}", timeout=20) as answer:
            return answer.read()

    def lines(self):
        return self.trace.read_text(errors="replace").splitlines()


def credentials(work, passphrase):
    folder = work / "credentials"
    durable.make_folder(folder)
    durable.write(folder / "valise-passphrase", passphrase)


def planted(work, section=""):
    """Make a broker's folder whose passphrase is the service manager's to give; return world and configuration."""
    world = make_world(("kz/customs", "uz/focal-point"))
    config = broker_process.plant(world, work)
    credentials(work, broker_process.PASSPHRASE.encode())
    lines = [line for line in config.read_text().splitlines() if not line.startswith("passphrase_file")]
    config.write_text("\n".join([*lines, section]))
    return world, config


def exercised(world, config, work):
    """Run a broker through start, a publish, a page, its metrics, and an orderly end."""
    with Traced(("broker", "run", "--config", str(config)), work, {}) as traced:
        process = broker_process.Process(traced.popen, work / "state", Path(traced.out.name))
        assert process.publish(world.envelope("kz/customs", ["uz/focal-point"])).status == 201
        assert process.signed(world.people["uz/focal-point"], "GET", "/v1/feed?wait=1").status == 200
        assert b"valise_tree_size" in traced.fetch("metrics-address", "/metrics")
    assert traced.popen.returncode == 0, process.printed
    return traced


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    work = tmp_path_factory.mktemp("broker")
    return exercised(*planted(work), work)


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    """Run a broker on a cluster that it reaches by certificate."""
    cluster.skip_without_kafka()
    work = tmp_path_factory.mktemp("instance")
    durable.write(work / "frame.keys", new_frame_key())
    with cluster.running(security="tls") as kafka:
        own = kafka.certificate()
        section = {
            "bootstrap": kafka.bootstrap,
            "frame_keys": str(work / "frame.keys"),
            "ca": str(own.authority),
            "certificate": str(own.certificate),
            "key": str(own.key),
        }
        lines = "".join(f'{name} = "{value}"\n' for name, value in section.items())
        world, config = planted(work, f"[kafka]\nsigner = true\nreplication = 1\n{lines}")
        move_ledger(load(config, {}).settings)
        return exercised(world, config, work)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """Run a gateway whose broker is away through start, questions, its metrics, and an orderly end."""
    work = tmp_path_factory.mktemp("gateway")
    place = gateway_world.plant(gateway_world.a_world(), work / "state", "kz/customs").path
    enrolled = json.loads((place / "gateway.json").read_bytes())
    (place / "gateway.json").write_text(json.dumps({**enrolled, "broker": "http://127.0.0.1:9"}, separators=(",", ":")))
    credentials(work, gateway_world.PASSPHRASE)
    environment = {"VALISE_GATEWAY_LISTEN": "127.0.0.1:0", "VALISE_GATEWAY_METRICS": "127.0.0.1:0"}
    with Traced(("gateway", "run", "--folder", str(place)), work, environment) as traced:
        assert json.loads(traced.fetch("address", "/livez"))["ready"]
        assert b"valise_gateway_log_size" in traced.fetch("metrics-address", "/metrics")
        time.sleep(1)  # let it try to reach its broker
    assert traced.popen.returncode == 0, Path(traced.out.name).read_text()
    return traced


@pytest.fixture(params=["broker", "instance", "gateway"])
def unit(request):
    """Return the name of a unit and what was traced of its program."""
    name = "valise-gateway" if request.param == "gateway" else "valise-broker"
    return name, request.getfixturevalue(request.param)


def test_neither_needs_writable_code(unit):
    if not kernel_denies():
        pytest.skip("the kernel cannot refuse writable code (before 6.3)")
    assert unit[1].popen.returncode == 0


def test_every_system_call_is_allowed(unit):
    name, traced = unit
    used = {found[1] for line in traced.lines() if (found := CALL.match(line))}
    assert len(used) > 40
    assert used - allowed(name) - (ROOTS_ALONE if os.geteuid() == 0 else set()) == set()


def test_nothing_is_written_but_the_state(unit):
    _, traced = unit
    found = [match.groups() for line in traced.lines() if "= -1" not in line and (match := OPENED.search(line))]
    written = {Path(path) for path, how in found if any(flag in how for flag in WRITING)}
    own = {path for path in written if path.is_relative_to(traced.state)}
    private = {path for path in written if path.is_relative_to("/tmp") and not path.is_relative_to(traced.state.parent)}
    assert own
    assert written - own - private - {Path("/dev/null")} == set()


def test_only_its_own_processes_are_looked_at(unit):
    _, traced = unit
    opened = {match[1] for line in traced.lines() if "= -1" not in line and (match := OPENED.search(line))}
    foreign = {path for path in opened if path.startswith("/proc/") and not re.match(r"/proc/(self|\d+)/", path)}
    assert foreign <= ASKED_IN_VAIN


def test_only_the_unit_s_kinds_of_sockets_are_made(unit):
    name, traced = unit
    families = {found[1] for line in traced.lines() if (found := SOCKET.search(line))}
    (listed,) = service_of(name)["RestrictAddressFamilies"]
    assert "AF_INET" in families
    assert families <= set(listed.split())
