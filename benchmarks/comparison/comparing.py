# SPDX-License-Identifier: Apache-2.0
"""Which measurements are made, in which order, and what is kept of them.

The machine changes its speed from minute to minute, so a server is only ever compared with the
yardstick that ran right before or after it; what is kept is the ratio of the two.
"""

import sys
import time

from benchmarks.comparison import figures, measuring, shapes
from benchmarks.comparison.children import Failed

SINGLE = "raw_single"  # The yardstick without joined replies; only where there are requests.

# For each server that is run: starting and ending it and its client, or filling 10,000 connections.
OVERHEAD_SECONDS = {"speed": 0.1, "system_calls": 0.3, "instructions": 1.0, "memory": 2.0}


class Progress:
    """One line on stderr for each step, with how far it is."""

    def __init__(self, steps):
        self.steps = steps
        self.done = 0
        self.began = time.monotonic()

    def step(self, text):
        self.done += 1
        seconds = time.monotonic() - self.began
        print("[%d/%d, %d:%02d] %s" % (self.done, self.steps, seconds // 60, seconds % 60, text),
              file=sys.stderr, flush=True)


class Comparison:
    """Fills `results`, a dictionary that goes into JSON as it is."""

    def __init__(self, laboratory, servers, yardstick, settings):
        self.laboratory = laboratory
        self.servers = servers  # Those that are compared with the yardstick.
        self.yardstick = yardstick
        self.settings = settings
        self.results = {"shapes": {}, "system_calls": {}, "instructions": {}, "memory": {},
                        "problems": []}
        self.progress = Progress(sum(self.count_steps().values()))

    def run(self):
        parts = self.settings.parts
        if "speed" in parts:
            for shape in self.settings.shapes:
                self.compare_speed(shape)
        for part, counter in (("system_calls", measuring.SystemCalls()),
                              ("instructions", measuring.Instructions())):
            if part in parts:
                self.count_all(part, counter)
        if "memory" in parts:
            self.compare_memory()
        return self.results

    def servers_for(self, shape):
        """Those that have something to show in it."""
        return [server for server in self.servers if server.key != SINGLE or shape.framed]

    def counted_servers(self):
        others = [server for server in self.servers
                  if server.key not in (SINGLE, self.yardstick.key)]
        return [self.yardstick] + others

    def count_steps(self):
        """{part: how many}."""
        settings, counted = self.settings, len(self.counted_servers())
        steps = {
            "speed": settings.rounds * sum(
                len(self.servers_for(shape)) for shape in settings.shapes),
            "system_calls": counted * len(settings.counted_shapes),
            "instructions": counted * len(settings.counted_shapes),
            "memory": counted}
        return {part: count for part, count in steps.items() if part in settings.parts}

    def seconds_expected(self):
        settings = self.settings
        runs = {"speed": 2 * settings.seconds, "memory": 0}
        return sum(count * (runs.get(part, settings.count_seconds) + 2 * OVERHEAD_SECONDS[part])
                   for part, count in self.count_steps().items())

    def attempt(self, what, measure):
        """What `measure` returns; None if it could not be done, which is noted."""
        try:
            return measure()
        except (Failed, OSError, ValueError) as error:
            self.results["problems"].append("%s: %s" % (what, error))
            print("  %s: %s" % (what, error), file=sys.stderr)
            return None

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
            kept = self.results[part].setdefault(shape.key, {})
            for server in self.counted_servers():
                name = "%s of %s, %s" % (part.replace("_", " "), shape.key, server.title)
                kept[server.key] = self.attempt(name, lambda s=server, sh=shape: (
                    self.laboratory.count(s, sh, self.settings.count_seconds, counter)))
                self.progress.step("%s: %s" % (name, said(kept[server.key])))

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


def said(value):
    return "failed" if value is None else figures.brief(value)
