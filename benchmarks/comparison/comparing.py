# SPDX-License-Identifier: Apache-2.0
"""Which measurements are made, in which order, and what is kept of them.

The machine changes its speed from minute to minute, so a server is only ever compared with the
yardstick that ran right before or after it; what is kept is the ratio of the two.
"""

import os
import statistics
import sys
import time

from benchmarks.comparison import figures, measuring, micro, shapes
from benchmarks.comparison.children import Failed

SINGLE = "raw_single"  # The yardstick without joined replies; only where there are requests.

# For the estimate. With each run: starting and ending a server and its client, also with a tool.
OVERHEAD_SECONDS = {"speed": 0.1, "system_calls": 0.2, "instructions": 0.6}
# And memory, which waits for more than a second.
MEMORY_SECONDS, MEMORY_SECONDS_PER_CONNECTION = 1.3, 0.0003
MICRO_SECONDS = 40.0  # A program of micro-benchmarks, once.
QUICK_MICRO_SECONDS = 4.0

PARTS = ["speed", "system_calls", "instructions", "memory", "micro"]
COUNTERS = {"system_calls": measuring.SystemCalls(), "instructions": measuring.Instructions()}


def clock(seconds):
    return "%d:%02d" % (seconds // 60, seconds % 60)


class Progress:
    """One line on stderr for each step: how far it is, and what has been measured.

    A terminal is also told what is being measured now.
    """

    def __init__(self, steps, seconds_expected):
        self.steps = steps
        self.done = 0
        self.expected = seconds_expected
        self.began = time.monotonic()

    def begin(self, text):
        if sys.stderr.isatty():
            print("now: %s ..." % text, end="\r", file=sys.stderr, flush=True)

    def step(self, text):
        self.done += 1
        self.clear()
        seconds = time.monotonic() - self.began
        print("[%d/%d, %s of about %s] %s" % (
            self.done, self.steps, clock(seconds), clock(max(self.expected, seconds)), text),
              file=sys.stderr, flush=True)

    @staticmethod
    def clear():
        if sys.stderr.isatty():
            print("\033[K", end="", file=sys.stderr)


def empty_results():
    return {"shapes": {}, "system_calls": {}, "instructions": {}, "allocations": {}, "memory": {},
            "micro": {}, "problems": []}


class Comparison:
    """Fills `results`, a dictionary that goes into JSON as it is."""

    def __init__(self, laboratory, servers, yardstick, settings, benchmarks=()):
        self.laboratory = laboratory
        self.servers = servers  # Those that are compared with the yardstick.
        self.yardstick = yardstick  # None: nothing but counting is asked for.
        self.settings = settings
        self.benchmarks = benchmarks  # Programs of micro-benchmarks.
        self.results = empty_results()
        self.progress = Progress(sum(self.count_steps().values()), self.seconds_expected())

    def run(self):
        parts = self.settings.parts
        if "speed" in parts:
            for shape in self.settings.shapes:
                self.compare_speed(shape)
        for part, counter in COUNTERS.items():
            if part in parts:
                self.count_all(part, counter)
        if "memory" in parts:
            self.compare_memory()
        if "micro" in parts:
            self.run_benchmarks()
        return self.results

    def servers_for(self, shape):
        """Those that have something to show in it."""
        if shape.ours_only:
            return [server for server in self.servers if server.key == "millrace"]
        return [server for server in self.servers if server.key != SINGLE or shape.framed]

    def counted_servers(self, shape=None):
        if shape and shape.ours_only:
            return self.servers_for(shape)
        first = [self.yardstick] if self.yardstick else []
        return first + [server for server in self.servers
                        if server.key != SINGLE and server not in first]

    def count_steps(self):
        """{part: how many}."""
        settings = self.settings
        counted = sum(len(self.counted_servers(shape)) for shape in settings.counted_shapes)
        steps = {
            "speed": settings.rounds * sum(
                len(self.servers_for(shape)) for shape in settings.shapes),
            "system_calls": counted, "instructions": counted,
            "memory": len(self.counted_servers()),
            "micro": settings.micro_rounds * len(self.benchmarks)}
        return {part: count for part, count in steps.items() if part in settings.parts}

    def seconds_expected(self):
        settings = self.settings
        each = {part: settings.count_tries * (settings.count_seconds + 2 * OVERHEAD_SECONDS[part])
                for part in COUNTERS}
        each["speed"] = 2 * (settings.seconds + OVERHEAD_SECONDS["speed"])
        each["memory"] = MEMORY_SECONDS + MEMORY_SECONDS_PER_CONNECTION * settings.memory_connections
        each["micro"] = QUICK_MICRO_SECONDS if settings.quick else MICRO_SECONDS
        return sum(count * each[part] for part, count in self.count_steps().items())

    def attempt(self, what, measure):
        """What `measure` returns; None if it could not be done, which is noted."""
        self.progress.begin(what)
        try:
            return measure()
        except (Failed, OSError, ValueError) as error:
            self.note("%s: %s" % (what, error))
            return None

    def note(self, problem):
        """Once, however often it is met."""
        if problem not in self.results["problems"]:
            self.results["problems"].append(problem)
        self.progress.clear()
        print("  " + problem, file=sys.stderr)

    # --- Speed -----------------------------------------------------------------------------------

    def compare_speed(self, shape):
        kept = {"yardstick": {"rate": [], "cpu_us": []}, "rate": {}, "cpu": {}}
        self.results["shapes"][shape.key] = kept
        for number in range(self.settings.rounds):
            for position, server in enumerate(figures.rotated(self.servers_for(shape), number)):
                name = "%s, %s" % (shape.key, server.title)
                pair = self.attempt(name, lambda s=server, p=position, n=number: self.measure_pair(
                    s, shape, yardstick_first=(n + p) % 2 == 0))
                if pair:
                    self.keep_pair(kept, server, *pair)
                ratio = "cpu %.2f" % kept["cpu"][server.key][-1] if pair else "failed"
                self.progress.step("%s: round %d: %s" % (name, number + 1, ratio))

    def measure_pair(self, server, shape, yardstick_first):
        """Returns what was measured of the yardstick, and of the server."""
        order = [self.yardstick, server] if yardstick_first else [server, self.yardstick]
        pair = [self.laboratory.measure(each, shape, self.settings.seconds) for each in order]
        return pair if yardstick_first else pair[::-1]

    @staticmethod
    def keep_pair(kept, server, yardstick, measured):
        kept["yardstick"]["rate"].append(yardstick[0])
        kept["yardstick"]["cpu_us"].append(yardstick[1])
        kept["rate"].setdefault(server.key, []).append(measured[0] / yardstick[0])
        kept["cpu"].setdefault(server.key, []).append(yardstick[1] / measured[1])

    # --- Counts and memory -----------------------------------------------------------------------

    def count_all(self, part, counter):
        if not measuring.is_there(counter):
            self.results["problems"].append("%s is not installed: no %s are counted" % (
                counter.program, part.replace("_", " ")))
            return
        for shape in self.settings.counted_shapes:
            for server in self.counted_servers(shape):
                name = "%s of %s, %s" % (part.replace("_", " "), shape.key, server.title)
                counted = self.attempt(name, lambda s=server, sh=shape: self.count(s, sh, counter))
                for each, value in (counted or dict.fromkeys(counter.parts)).items():
                    self.results[each].setdefault(shape.key, {})[server.key] = value
                self.progress.step("%s: %s" % (name, said(counted and counted[part])))

    def count(self, server, shape, counter):
        """The median of some tries: it depends a little on how connections and messages meet."""
        tries = [self.laboratory.count(server, shape, self.settings.count_seconds, counter)
                 for _ in range(self.settings.count_tries)]
        return {part: statistics.median(each[part] for each in tries) for part in counter.parts}

    def compare_memory(self):
        count = self.settings.memory_connections
        kept = {"connections": count, "servers": {}}
        self.results["memory"] = kept
        for server in self.counted_servers():
            name = "memory, %s" % server.title
            measured = self.attempt(name, lambda s=server: measuring.measure_memory(
                self.laboratory, s, shapes.SHAPES["c100"], count))
            kept["servers"][server.key] = measured
            self.progress.step("%s: %s" % (name, said(measured and measured["silent"])))

    # --- Micro-benchmarks ------------------------------------------------------------------------

    def run_benchmarks(self):
        """One round after the other, so that all of them meet the machine's moods."""
        for number in range(self.settings.micro_rounds):
            for program in figures.rotated(list(self.benchmarks), number):
                name = os.path.basename(program)
                read = self.attempt(name, lambda p=program: (
                    self.laboratory.run_benchmark(p, self.settings.quick)))
                found, failed = read or ({}, [])
                for problem in failed:
                    self.note(problem)
                for (row, who), nanoseconds in found.items():
                    kept = self.results["micro"].setdefault(row, {})
                    kept.setdefault(who, []).append(nanoseconds)
                self.progress.step("%s: round %d: %d rows" % (name, number + 1, len(found)))


def said(value):
    return "failed" if value is None else figures.brief(value)
