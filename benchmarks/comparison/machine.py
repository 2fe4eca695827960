# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on, and with."""

import datetime
import os
import platform
import re
import resource
import shutil
import subprocess

from benchmarks.comparison import readings, servers


BUSY = 0.7  # Of the load average: from here on somebody else is at work.


def first_line(*command):
    """Of what it prints; "" if it is not there."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return done.stdout.split("\n")[0].strip()


def cpu_model():
    match = re.search(r"^model name\s*: (.*)$", readings.read("/proc/cpuinfo"), re.MULTILINE)
    return match[1] if match else platform.machine()


def system_name():
    try:
        text = readings.read("/etc/os-release")
    except OSError:
        return platform.system()
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    return match[1] if match else platform.system()


def siblings(core):
    """The cores that share one with it, itself among them."""
    path = "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list" % core
    try:
        text = readings.read(path)
    except OSError:
        return {core}
    cores = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def choose_cores(usable, siblings_of=siblings):
    """One for the server and one for its client: not two halves of one, if there is a choice."""
    server = min(usable)
    others = sorted(usable - {server})
    apart = [core for core in others if core not in siblings_of(server)]
    return server, (apart or others or [server])[0]


def usable_cores():
    return os.sched_getaffinity(0)


def raise_descriptor_limit():
    """Returns how many we may have now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def revision(root):
    """Of the tree, "1234567" or "1234567, changed"; "" if git does not know."""
    git = ["git", "-c", "safe.directory=*", "-C", root]
    commit = first_line(*git, "rev-parse", "--short", "HEAD")
    changed = commit and first_line(*git, "status", "--porcelain", "--untracked-files=no")
    return commit + (", changed" if changed else "")


def load_average():
    """How busy the machine was in the last minute, before we came."""
    return os.getloadavg()[0]


def describe(root, cores, load):
    """[(what, value)], for the document. `load` was taken before anything was measured."""
    server, client = cores
    memory = re.search(r"^MemTotal:\s+(\d+) kB", readings.read("/proc/meminfo"), re.MULTILINE)
    rows = [
        ("date", datetime.date.today().isoformat()),
        ("processor", "%s, %d cores usable" % (cpu_model(), len(usable_cores()))),
        ("server, client on core", "%d, %d" % (server, client)),
        ("memory", "%.0f GiB" % (int(memory[1]) / (1 << 20))),
        ("load average before", "%.1f" % load),
        ("system", "%s, Linux %s" % (system_name(), platform.release())),
        ("compiler", servers.compiler_version()),
        ("Millrace", revision(root)),
        ("strace", first_line("strace", "-V").rpartition(" ")[2]),
        ("valgrind", first_line("valgrind", "--version").rpartition("-")[2]),
    ]
    return [[name, value or "not there"] for name, value in rows]
