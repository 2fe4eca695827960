# SPDX-License-Identifier: Apache-2.0
"""Figures out of what tools and the kernel print."""

import dataclasses
import glob
import json
import re


@dataclasses.dataclass(frozen=True)
class Load:
    """What a load client reports."""
    rate: float  # Messages per second while it measured.
    messages: int  # Over the whole run.


def read_load(text, in_flight=0):
    """Of the client's --json. Raises ValueError if there were errors, or nothing came back.

    `in_flight` are those that were under way when its measuring ended: the server has answered them,
    and a client that does not count the whole run leaves them out.
    """
    report = json.loads(text)
    if report["errors"]:
        raise ValueError("the load client met errors: %s" % report["errors"])
    messages = report.get("messages_total", report["messages"] + in_flight)
    if report["messages"] <= 0:
        raise ValueError("no message came back")
    return Load(report["messages_per_second"], messages)


def read_system_calls(text):
    """How many calls there were in all, of `strace -c`."""
    for line in text.splitlines():
        words = line.split()
        # "100.00  0.012  1  12345  67 total"; without the errors where there were none.
        if words and words[-1] == "total":
            return int(words[3])
    raise ValueError("strace tells no total")


def read_instructions(text):
    """How many there were in all, of a file by callgrind."""
    match = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
    if not match:
        raise ValueError("callgrind tells no total")
    return int(match[1])


ALLOCATING = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "memalign"}


def read_allocations(text):
    """How often the C library was asked for memory, of a file by callgrind.

    There a function is `(number) name` where it is met first, and `(number)` after that; a line
    `calls=COUNT ...` stands behind the function that is called, `cfn=`.
    """
    names, callee, count = {}, "", 0
    for line in text.splitlines():
        match = re.match(r"(c?fn)=\((\d+)\)(?: (.*))?", line)
        if match:
            kind, number, name = match.groups()
            if name:
                names[number] = re.sub(r"'\d+$", "", name)  # A recursive one is numbered.
            if kind == "cfn":
                callee = names.get(number, "")
        elif line.startswith("calls="):
            count += int(line[len("calls="):].split()[0]) if callee in ALLOCATING else 0
            callee = ""
    return count


def read_anonymous_bytes(text):
    """Resident memory that is no file's, of /proc/PID/smaps_rollup."""
    return int(re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE)[1]) << 10


def read_schedstat(text):
    """Nanoseconds on a core, of /proc/PID/task/TID/schedstat."""
    return int(text.split()[0])


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def cpu_nanoseconds(pid):
    """Of all threads of a process. None of a server's ends before the server does."""
    return sum(read_schedstat(read(path)) for path in glob.glob("/proc/%d/task/*/schedstat" % pid))


def anonymous_bytes(pid):
    return read_anonymous_bytes(read("/proc/%d/smaps_rollup" % pid))
