# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md and its charts, or what is printed in their place."""

import os
import re
import statistics
import textwrap

from benchmarks.comparison import charts, comparing, figures, goals, micro, shapes
from benchmarks.comparison.figures import brief
from benchmarks.comparison.tables import Tables

INTRODUCTION = """\
# Benchmarks

Millrace beside the libraries that one would take instead, in echo servers that do the same work. Written
by `//benchmarks:compare` from what it measured; [how to do it again](#how-to-do-it-again) is at the end.
Rows in which another one is ahead stay in.

Each server has one thread, on a core of its own, and its client another core, over loopback. A machine
changes its speed from minute to minute, so a server is never compared but with the **yardstick** that runs
right before or after it: `raw LT`, hardly more than a server on epoll has to do (level-triggered, one
`recv` into one shared buffer, one `send` from it; `benchmarks/peers/raw_epoll.cc`). What is shown is the ratio of
the two: the median of {rounds} pairs, with the least and the most. The yardstick is compared with itself as
well: what that differs by from 1 is noise, and so are differences of less than {noise:.2f}. The best one of
each row is in bold.

All protection that Millrace has by default (timeouts, limits, high-water marks) is on. The other servers
are in `benchmarks/peers`, each in the best manner we know for its library, and have none.
"""

GOALS = (
    "What Millrace set out to reach on epoll, {count} goals, and what this run says of them: {summary}. *CPU "
    "time* and *messages/s* are ratios to the yardstick, as below. *Ahead* is who has the better figure, of "
    "Millrace and the best other library in the same run; *level*, if they differ by less than {noise:.0%}.")

SPEED = """\
## CPU time per message

The yardstick's CPU time per message, as the scheduler accounts for it, divided by the server's: more is
better, and 1 is as good as the yardstick. A client that is too slow does not spoil it, as it does the rate.
In the charts a dot is the median, its line goes from the least to the most, and a triangle points to a
median beyond the edge.

![CPU time per message](benchmarks/cpu.svg)

{cpu}

{notes}

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

ALLOCATIONS = """\
## Allocations per message

Calls of `malloc` and its like, out of the same runs.

{chart}{table}
"""

MEMORY = """\
## Memory per connection

Resident bytes that are no file's, of {connections:,} connections, for each: when they are open and have
said nothing; after an echo of 64 bytes on each; after one of 16 KiB on each, and a second.

{chart}{table}
"""

MICRO = """\
## Parts

Parts by themselves, in one process, on Google Benchmark, beside what does the same in other libraries:
{runs}. `benchmarks/BUILD` says what each row counts. The best one of each row is in bold.
"""

# Charts of micro-benchmarks: the rows, and how they are called.
TIMERS_CHART = ["Timers/%s/1000000" % each for each in ("AddCancel", "Rearm", "AddFire")]
POSTS_CHART = ["Posts/Busy/%d" % each for each in (1, 4)]


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
                            notes=self.tables.shape_notes(), yardstick=self.tables.yardstick()
                            ).replace("\n\n\n", "\n")

    def goals_text(self):
        verdicts = [standing.verdict for standing in goals.standings(self.results)]
        said = ["%d %s" % (verdicts.count(each), each)
                for each in ("met", "within the noise", "not met", "not measured") if each in verdicts]
        text = GOALS.format(count=len(verdicts), summary=", ".join(said), noise=figures.NOISE)
        words = ["## Goals", textwrap.fill(text, 110), self.tables.goals(), self.tables.muduo_note()]
        return "\n\n".join(each for each in words if each) + "\n"

    def counts_text(self, part, template, charted=True):
        words = self.tables.counts(part)
        return words and template.format(chart=self.image(part) if charted else "", table=words)

    def micro_text(self):
        parts = []
        for subject in micro.SUBJECTS:
            words = self.tables.micro(subject)
            chart = self.image(subject.key.lower()) if self.micro_rows(subject.key) else ""
            if words:
                parts.append("### %s\n\n%s\n\n%s%s\n" % (
                    subject.title, textwrap.fill(subject.text, 110), chart, words))
        rounds = self.results["settings"]["micro_rounds"]
        runs = "the median of %d runs" % rounds if rounds > 1 else "one run of each"
        return "\n".join([MICRO.format(runs=runs)] + parts) if parts else ""

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
        texts = [self.goals_text(), self.speed_text(), self.counts_text("system_calls", CALLS),
                 self.counts_text("instructions", INSTRUCTIONS),
                 self.counts_text("allocations", ALLOCATIONS, charted=False), self.memory_text(),
                 self.micro_text(), self.left_out_text(), self.machine_text()]
        return [text for text in texts if text]

    def markdown(self):
        first = INTRODUCTION.format(rounds=self.results["settings"]["rounds"], noise=figures.NOISE)
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
        for key, title in (("Timers", "Timers, 1,000,000 outstanding: ns per operation (less is better)"),
                           ("Posts", "Posts to a busy loop: million tasks/s (more is better)")):
            if self.micro_rows(key):
                pictures[key.lower() + ".svg"] = self.micro_chart(key, title)
        return pictures

    def ratio_chart(self, what, title):
        keys = self.tables.columns + [comparing.SINGLE]
        groups = []
        for shape in self.results["shapes"]:
            measured = {self.tables.compared_title(key): self.tables.ratio(what, shape, key)
                        for key in keys}
            rows = {name: figure for name, figure in measured.items() if figure}
            groups += [(shapes.SHAPES[shape].title, rows)] if rows else []
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
        return charts.amount_chart(title, described(written), written, names)

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

    def micro_rows(self, key):
        """Those that a chart shows; none for most subjects."""
        wanted = {"Timers": TIMERS_CHART, "Posts": POSTS_CHART}.get(key, [])
        return [row for row in wanted if row in self.results["micro"]]

    def micro_chart(self, key, title):
        """A library has the colour that it has in the other charts."""
        groups = []
        names = [self.tables.title(who) for who in self.tables.counted]
        for row in self.micro_rows(key):
            subject, found = micro.subject_of(row), self.results["micro"][row]
            rows = {}
            for who in sorted(found, key=self.tables.place):
                value = subject.shown(statistics.median(found[who]))
                rows[self.tables.title(who)] = (value, brief(value))
            groups.append((micro.title_of(row), rows))
            names += [name for name in rows if name not in names]
        return charts.amount_chart(title, described(groups), groups, names)

    # --- Files -----------------------------------------------------------------------------------

    def write(self, folder):
        """`folder`/benchmarks.md, and the charts in `folder`/benchmarks/."""
        charts_folder = os.path.join(folder, "benchmarks")
        os.makedirs(charts_folder, exist_ok=True)
        for name, picture in self.svgs().items():
            write(os.path.join(charts_folder, name), picture)
        write(os.path.join(folder, "benchmarks.md"), self.markdown())


def described(groups):
    """What a chart of amounts shows, for those who do not see it."""
    return "; ".join("%s: %s" % (name, ", ".join(
        "%s %s" % (each, words) for each, (_, words) in rows.items())) for name, rows in groups)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
