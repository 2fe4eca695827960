# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md and its charts, or what is printed in their place."""

import os
import re

from benchmarks.comparison import charts, comparing, shapes
from benchmarks.comparison.figures import brief
from benchmarks.comparison.tables import Tables

INTRODUCTION = """\
# Benchmarks

Millrace beside the libraries that one would take instead, in echo servers that do the same work. Written
by `//benchmarks:compare`; [how to do it again](#how-to-do-it-again) is at the end. Rows in which another
one is ahead stay in.

Each server has one thread, on a core of its own, and its client another core, over loopback. A machine
changes its speed from minute to minute, so a server is never compared but with the **yardstick** that runs
right before or after it: `raw LT`, the least that a server on epoll can do (level-triggered, one `recv`
into one shared buffer, one `send` from it; `benchmarks/peers/raw_epoll.cc`). What is shown is the ratio of
the two: the median of {rounds} pairs, with the least and the most. The yardstick is compared with itself as
well: what that differs by from 1 is noise, and so are differences of less than 0.03. The best one of each
row is in bold.

All protection that Millrace has by default (timeouts, limits, high-water marks) is on. The other servers
are in `benchmarks/peers`, each in the best manner we know for its library, and have none.
"""

SPEED = """\
## CPU time per message

The yardstick's CPU time per message, as the scheduler accounts for it, divided by the server's: more is
better, and 1 is as good as the least that epoll allows. It is the steadiest measure of speed, since a
client that is too slow does not spoil it.

![CPU time per message](benchmarks/cpu.svg)

{cpu}

{single}

## Messages per second

The server's divided by the yardstick's. Where the server is faster than its client, this tells little.

![Messages per second](benchmarks/rate.svg)

{rate}

The yardstick itself, over all its runs:

{yardstick}
"""

CALLS = """\
## System calls per message

As `strace -f -c` counts them; those of a run that only connects are taken off. `churn`: for each
connection, with its one message.

{chart}{table}
"""

INSTRUCTIONS = """\
## Instructions per message

In user space, as `valgrind --tool=callgrind` counts them; those of a run that only connects are taken off.

{chart}{table}
"""

MEMORY = """\
## Memory per connection

Resident bytes that are no file's, of {connections:,} connections, for each: when they are open and have
said nothing; after an echo of 64 bytes on each; after one of 16 KiB on each, and a second.

{chart}{table}
"""


class Document:
    """Reads `results`, with what compare.py has added to them: machine, settings and commands."""

    def __init__(self, results):
        self.results = results
        self.tables = Tables(results)

    # --- Text ------------------------------------------------------------------------------------

    def speed_text(self):
        if not self.results["shapes"]:
            return ""
        return SPEED.format(cpu=self.tables.ratios("cpu"), rate=self.tables.ratios("rate"),
                            single=self.tables.single_reply_note(), yardstick=self.tables.yardstick()
                            ).replace("\n\n\n", "\n")

    def counts_text(self, part, template, goals):
        words = self.tables.counts(part, goals)
        return words and template.format(chart=self.image(part), table=words)

    def memory_text(self):
        words = self.tables.memory()
        return words and MEMORY.format(chart=self.image("memory"), table=words,
                                       connections=self.results["memory"]["connections"])

    @staticmethod
    def image(name):
        return "![%s](benchmarks/%s.svg)\n\n" % (name.replace("_", " ").capitalize(), name)

    def left_out_text(self):
        missing, problems = self.results["missing"], self.results["problems"]
        lines = ["- " + each for each in missing + problems] or ["Nothing."]
        return "## What is missing here\n\n%s\n" % "\n".join(lines)

    def machine_text(self):
        rows = [[name, value] for name, value in self.results["machine"]]
        rows += [[server["title"], server["version"]] for server in self.results["servers"]
                 if server["version"]]
        return "## The machine\n\n| | |\n|---|---|\n%s\n" % "\n".join(
            "| %s | %s |" % tuple(row) for row in rows)

    def again_text(self):
        settings = self.results["settings"]
        return ("## How to do it again\n\n```sh\n%s\n```\n\nThis was %d rounds, with runs of %g s. It "
                "ran:\n\n```sh\n%s\n```\n" % (
                    settings["command"], settings["rounds"], settings["seconds"],
                    "\n".join(self.results["commands"])))

    def sections(self):
        texts = [self.speed_text(), self.counts_text("system_calls", CALLS, shapes.CALL_GOALS),
                 self.counts_text("instructions", INSTRUCTIONS, shapes.INSTRUCTION_GOALS),
                 self.memory_text(), self.left_out_text(), self.machine_text()]
        return [text for text in texts if text]

    def markdown(self):
        first = INTRODUCTION.format(rounds=self.results["settings"]["rounds"])
        return "\n".join([first] + self.sections() + [self.again_text()])

    def terminal(self):
        """The same without pictures and introduction."""
        return re.sub(r"!\[.*\n\n", "", "\n".join(self.sections()))

    # --- Charts ----------------------------------------------------------------------------------

    def svgs(self):
        """{file name: picture}."""
        pictures = {}
        if self.results["shapes"]:
            pictures["cpu.svg"] = self.ratio_chart(
                "cpu", "CPU time per message: the yardstick's, divided by the server's (more is better)")
            pictures["rate.svg"] = self.ratio_chart(
                "rate", "Messages per second: the server's, divided by the yardstick's (more is better)")
        for part, title in (("system_calls", "System calls per message (less is better)"),
                            ("instructions", "Instructions per message in user space (less is better)")):
            if self.results[part]:
                pictures[part + ".svg"] = self.count_chart(part, title)
        if self.results["memory"].get("servers"):
            pictures["memory.svg"] = self.memory_chart()
        return pictures

    def ratio_chart(self, what, title):
        keys = self.tables.columns + [comparing.SINGLE]
        groups = []
        for shape in self.results["shapes"]:
            measured = {self.tables.compared_title(key): self.tables.ratio(what, shape, key)
                        for key in keys}
            groups.append((shapes.SHAPES[shape].title,
                           {name: figure for name, figure in measured.items() if figure}))
        shown = [self.tables.compared_title(key) for key in keys]
        names = [name for name in shown if any(name in rows for _, rows in groups)]
        description = "; ".join("%s: %s" % (title, ", ".join(
            "%s %.2f" % (name, figure.median) for name, figure in rows.items()))
                                for title, rows in groups)
        return charts.ratio_chart(title, description, groups, names)

    def amounts(self, title, groups):
        names = [self.tables.title(key) for key in self.tables.counted]
        written = [(name, {self.tables.title(key): (value, self.amount(value))
                           for key, value in rows if value is not None}) for name, rows in groups]
        description = "; ".join("%s: %s" % (name, ", ".join(
            "%s %s" % (server, words) for server, (_, words) in rows.items()))
                                for name, rows in written)
        return charts.amount_chart(title, description, written, names)

    @staticmethod
    def amount(value):
        return brief(max(value, 0))  # A difference of two runs may be a little less.

    def count_chart(self, part, title):
        counted = self.results[part]
        return self.amounts(title, [
            (shapes.SHAPES[shape].title, [(key, rows.get(key)) for key in self.tables.counted])
            for shape, rows in counted.items()])

    def memory_chart(self):
        measured = self.results["memory"]["servers"]
        groups = [(title, [(key, measured[key][when]) for key in self.tables.counted
                           if measured.get(key)])
                  for when, title in (("silent", "silent"), ("small", "after 64 B"),
                                      ("large", "after 16 KiB and 1 s"))]
        return self.amounts("Resident bytes per connection (less is better)", groups)

    # --- Files -----------------------------------------------------------------------------------

    def write(self, folder):
        """`folder`/benchmarks.md, and the charts in `folder`/benchmarks/."""
        charts_folder = os.path.join(folder, "benchmarks")
        os.makedirs(charts_folder, exist_ok=True)
        for name, picture in self.svgs().items():
            write(os.path.join(charts_folder, name), picture)
        write(os.path.join(folder, "benchmarks.md"), self.markdown())


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
