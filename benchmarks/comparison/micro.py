# SPDX-License-Identifier: Apache-2.0
"""The micro-benchmarks: which programs there are, and what is read of what they print.

A row's name is SUBJECT/OPERATION/WHO[/NUMBER...]; benchmarks/BUILD says what each counts. Values are
nanoseconds for each item, whatever an iteration was; copies are copies.
"""

import dataclasses
import json
import os
import re

OURS = ("timer_wheel_benchmark", "event_loop_benchmark", "accept_benchmark", "codec_benchmark",
        "broadcast_benchmark")
PEERS = {"libevent": "libevent_benchmark", "libuv": "libuv_benchmark", "asio": "asio_benchmark"}
TIMEOUT_SECONDS = 600
# Of a million timers only ours: filling others' heaps takes most of a run's time.
QUICK_FILTER = ("^Timers/.*/(1000|100000)$|^Timers/.*/Millrace/|^(Posts|Turns|Accept|Codec)/"
                "|^Broadcast/.*/(Group|Handles)/1024/")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A table."""
    key: str
    title: str
    unit: str  # "ns" or "us"; "M/s" or "k/s": then more is better; "": no time at all.
    text: str
    operations: dict  # {operation: how it is called}; {0}, {1} stand for the numbers.

    @property
    def more_is_better(self):
        return self.unit.endswith("/s")

    def shown(self, nanoseconds):
        """In its unit."""
        per_second = 1e9 / nanoseconds if nanoseconds else 0.0
        return {"us": nanoseconds / 1000, "M/s": per_second / 1e6, "k/s": per_second / 1e3}.get(
            self.unit, nanoseconds)


SUBJECTS = [
    Subject("Timers", "Timers", "ns",
            "Nanoseconds for each operation, with so many others outstanding. `TimerEntry` is the base "
            "class of our `Timer`, for those who want no callback object.",
            {"AddCancel": "add and cancel, {0}", "Rearm": "re-arm, {0}",
             "AddFire": "add and fire, {0}"}),
    Subject("Posts", "Posts to a busy loop", "M/s",
            "Millions of tasks per second, from the threads that post them to the loop that runs them.",
            {"Busy": "producers: {0}"}),
    Subject("WakeUp", "Posts to a sleeping loop", "us",
            "Microseconds from the post in one thread to the task in another, which has to be woken.",
            {"WakeUp": "wake-up"}),
    Subject("Turns", "Turns of a loop", "ns",
            "Nanoseconds for a turn that finds nothing; else for each event of those that are ready.",
            {"Empty": "nothing is ready", "Ready": "ready: {0}"}),
    Subject("Accept", "Accepting", "us",
            "Microseconds for each connection of those that wait, until it is watched.",
            {"Waiting": "waiting: {0}"}),
    Subject("Codec", "Codecs", "ns", "Nanoseconds for each message, by its size.",
            {"DecodeLines": "decode lines, {0} B", "EncodeLines": "encode lines, {0} B",
             "DecodeDelimited": "decode delimited, {0} B",
             "EncodeDelimited": "encode delimited, {0} B",
             "DecodeLengthPrefixed": "decode length-prefixed, {0} B",
             "EncodeLengthPrefixed": "encode length-prefixed, {0} B"}),
    Subject("Broadcast", "Broadcast", "k/s",
            "Thousands of deliveries per second: a message to one member is one. `Group` is a "
            "`BroadcastGroup`; the others are what one writes without it, and copy for each member: "
            "`Handles` in a plain loop over all, `OnItsLoops` with a post to each loop, `WriteEach` "
            "without joining output as well.",
            {"Burst": "{0} B, {1} at once"}),
    Subject("Copies", "Copies of a broadcast", "",
            "In how many places a message lies in memory while it is written to all members.",
            {"Copies": "{0} B, {1} at once"}),
]
OF_THEIR_OWN = ("WakeUp", "Copies")  # Operations with a table.
NAMES = {"millrace": "Millrace", "MillraceEntry": "TimerEntry", "asio": "Asio", "raw": "raw LT"}


def subject_of(row):
    subject, operation = row.split("/")[:2]
    wanted = operation if operation in OF_THEIR_OWN else subject
    return next((each for each in SUBJECTS if each.key == wanted), None)


def rows_of(subject, results):
    """Its rows in the results, in the order of its operations."""
    rows = [row for row in results if subject_of(row) is subject]
    operations = list(subject.operations)
    known = [row for row in rows if row.split("/")[1] in operations]
    return sorted(known, key=lambda row: (operations.index(row.split("/")[1]), numbers_of(row)))


def numbers_of(row):
    return [int(number) for number in row.split("/")[2:]]


def title_of(row):
    numbers = ["{:,}".format(number) for number in numbers_of(row)]
    return subject_of(row).operations[row.split("/")[1]].format(*numbers)


def who_of(name):
    """The key of a server where there is one of that name: "Asio" is asio."""
    return name.lower() if name.lower() in ("millrace", *PEERS) else name


def read_benchmarks(text):
    """Returns {(row, who): nanoseconds} of a program's JSON, and what failed, in words."""
    found, failed = {}, []
    # It prints nothing if no name passes its filter.
    for each in json.loads(text)["benchmarks"] if text else []:
        parts = each["name"].split("/")
        if each.get("error_occurred"):
            failed.append("%s: %s" % (each["name"], each.get("error_message") or "failed"))
        elif each.get("run_type") != "aggregate" and "items_per_second" in each and len(parts) >= 3:
            numbers = [part for part in parts[3:] if re.fullmatch(r"\d+", part)]
            row = "/".join(parts[:2] + numbers)
            found[row, who_of(parts[2])] = 1e9 / each["items_per_second"]
            if "copies" in each:  # A counter of its own.
                found["/".join([parts[0], "Copies"] + numbers), who_of(parts[2])] = each["copies"]
    return found, failed


def command(program, quick):
    """Of one run; what it prints is JSON."""
    flags = ["--benchmark_format=json", "--benchmark_min_time=%g" % (0.02 if quick else 0.2)]
    if quick:
        flags.append("--benchmark_filter=" + QUICK_FILTER)
    return [program, *flags]


def name_of(who):
    return NAMES.get(who, who)


def label(name):
    return "//benchmarks:" + name


def path_of(folder, name):
    return os.path.join(folder, "benchmarks", name)
