#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Millrace with echo servers on other libraries, and with the least that epoll allows.

    tools/bazel run //benchmarks:compare -- --quick
    benchmarks/compare.py --write-docs --json=results.json
    benchmarks/compare.py --check

Builds what it needs, pins each server to one core and the load client to another, and runs every
shape of load in pairs of yardstick and server; then counts system calls, instructions and
allocations, measures memory, and runs the micro-benchmarks. Prints tables; with --write-docs it also
writes docs/benchmarks.md. A peer whose library is not installed is named and left out; with --install
it is installed, by apt-get. Progress is told on stderr.

With --check it only counts, of Millrace alone, what does not depend on the clock, and exits with 1 if
one of the gates in benchmarks/comparison/goals.py is exceeded.
"""

import argparse
import dataclasses
import json
import math
import os
import shlex
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, ROOT)

from benchmarks.comparison import (building, children, comparing, document, goals, machine, measuring,
                                   micro, servers, shapes, tables)
from benchmarks.comparison.building import YARDSTICK, say
from benchmarks.comparison.comparing import PARTS

DEFAULTS = {"peers": ",".join(peer.key for peer in servers.PEERS), "parts": ",".join(PARTS)}
# What --check takes no notice of, and so refuses.
NOT_CHECKED = ["quick", "shapes", "peers", "parts", "rounds", "duration", "from_json", "write_docs",
               "output"]


@dataclasses.dataclass(frozen=True)
class Settings:
    shapes: list
    counted_shapes: list
    parts: list
    rounds: int
    seconds: float
    count_seconds: float
    count_tries: int
    memory_connections: int
    micro_rounds: int
    quick: bool = False


CHECK = Settings(
    shapes=[], counted_shapes=[shapes.SHAPES[key] for key in shapes.CHECKED_SHAPES],
    parts=["system_calls", "instructions", "memory"], rounds=1, seconds=1.0, count_seconds=1.5,
    count_tries=3, memory_connections=5000, micro_rounds=0)


# --- What is asked for -----------------------------------------------------------------------------

def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="benchmarks/compare.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="fewer shapes and rounds: 3 minutes")
    parser.add_argument("--check", action="store_true", help="the gates only, in a minute")
    parser.add_argument("--shapes", metavar="LIST", help="of " + ",".join(shapes.SHAPES))
    parser.add_argument("--peers", metavar="LIST", default=DEFAULTS["peers"],
                        help="of %(default)s; raw is the yardstick, against itself")
    parser.add_argument("--parts", metavar="LIST", default=DEFAULTS["parts"], help="of %(default)s")
    parser.add_argument("--rounds", type=int, metavar="N", help="pairs for each ratio; 5, quick 3")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="of a run; 2, quick 0.4")
    parser.add_argument("--install", action="store_true", help="installs what is missing (Debian)")
    parser.add_argument("--json", metavar="FILE", help="writes the results there, too")
    parser.add_argument("--from-json", metavar="FILE", help="measures nothing: shows those results")
    parser.add_argument("--write-docs", action="store_true", help="writes docs/benchmarks.md")
    parser.add_argument("--output", metavar="FOLDER", help="writes it there, and not to docs")
    parser.add_argument("--programs", metavar="FOLDER", help="where they are built; none: builds them")
    args = parser.parse_args(arguments)
    try:
        refuse_beside_check(args, parser)
        args.settings = make_settings(args)
        args.chosen = choose("peer", args.peers, [peer.key for peer in servers.PEERS])
    except ValueError as error:
        parser.error(str(error))
    return args


def refuse_beside_check(args, parser):
    if args.check:
        for name in NOT_CHECKED:
            if getattr(args, name) != parser.get_default(name):
                raise ValueError("--check measures always the same: not with --%s" % (
                    name.replace("_", "-")))


def choose(what, text, known):
    keys = [key for key in text.split(",") if key]
    for key in keys:
        if key not in known:
            raise ValueError("no %s %r; there are %s" % (what, key, ", ".join(known)))
    return keys


def make_settings(args):
    """Raises ValueError for what is not there."""
    if args.check:
        return CHECK
    quick = args.quick
    chosen = shapes.named(args.shapes, shapes.QUICK_SHAPES if quick else list(shapes.SHAPES))
    counted = shapes.QUICK_COUNTED_SHAPES if quick else shapes.COUNTED_SHAPES
    if args.shapes:
        counted = [shape.key for shape in chosen if shape.key in shapes.COUNTED_SHAPES]
    rounds = (3 if quick else 5) if args.rounds is None else args.rounds
    seconds = (0.4 if quick else 2.0) if args.duration is None else args.duration
    if rounds < 1:
        raise ValueError("--rounds=%d: at least 1" % rounds)
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError("--duration=%g: more than 0" % seconds)
    parts = choose("part", args.parts, PARTS)
    if not parts:
        raise ValueError("--parts is empty; there are %s" % ", ".join(PARTS))
    return Settings(
        shapes=chosen, counted_shapes=[shapes.SHAPES[key] for key in counted],
        parts=parts, rounds=rounds, seconds=seconds, quick=quick,
        count_seconds=seconds, count_tries=1,
        memory_connections=2000 if quick else 10_000, micro_rounds=1 if quick else 3)


def in_callers_folder(path):
    """`bazel run` runs us elsewhere."""
    return os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd()), path)


def programs_folder(args):
    return in_callers_folder(args.programs) if args.programs else None


# --- The gates -------------------------------------------------------------------------------------

def check(args):
    """Prints what was counted beside its gate; returns the exit code."""
    if args.install:
        building.install_what_is_missing([])
    folder = building.find(ROOT, programs_folder(args), building.CHECKED_TARGETS)
    programs = servers.Programs(folder)
    results = run(args.settings, programs, [programs.millrace()], None)
    found = goals.gates(results)
    head = ["", "Millrace", "at most", "goal", ""]
    print(tables.table(head, [gate.cells() for gate in found]))
    for problem in results["problems"]:
        say(problem)
    exceeded = [gate for gate in found if gate.exceeded]
    say("%d of %d gates are exceeded" % (len(exceeded), len(found)) if exceeded else
        "all %d gates are kept" % len(found))
    if args.json:
        write_json(args.json, results)
    return 1 if exceeded else 0


# --- The comparison --------------------------------------------------------------------------------

def commands(settings, compared, cores):
    """What was run, as one would type it."""
    server_core, client_core = cores
    lines = ["tools/bazel build --config=opt " + " ".join(servers.Programs.TARGETS)]
    keys = {server.key for server in compared} | {YARDSTICK}
    lines += [" ".join(servers.compile_command(peer, os.path.splitext(peer.source)[0]))
              for peer in servers.PEERS if peer.key in keys]
    lines += ["", "taskset -c %d bazel-bin/examples/echo/echo --threads=1" % server_core,
              "taskset -c %d bazel-bin/benchmarks/framed_server --threads=1" % server_core,
              "taskset -c %d ./raw_epoll --port=7007               # And the others." % server_core,
              "taskset -c %d ./raw_epoll --port=7009 --framed --joined" % server_core, ""]
    for shape in settings.shapes:
        flags = " with " + " ".join(shape.server_flags) if shape.server_flags else ""
        lines.append("taskset -c %d bazel-bin/tools/loadgen/loadgen --connect=127.0.0.1:%d %s   # %s%s" % (
            client_core, 7009 if shape.framed else 7007,
            " ".join(shape.load_flags(settings.seconds)), shape.key, flags))
    lines += ["", "cat /proc/PID/task/*/schedstat                   # CPU time: before, and after."]
    for counter in comparing.COUNTERS.values():
        lines.append("taskset -c %d %s SERVER" % (server_core, " ".join(counter.command("FILE"))))
    return lines + micro_commands(settings, keys)


def micro_commands(settings, keys):
    if "micro" not in settings.parts:
        return []
    names = [*micro.OURS, *(name for key, name in micro.PEERS.items() if key in keys)]
    return ["", "tools/bazel build --config=opt " + " ".join(micro.label(name) for name in names)] + [
        shlex.join(micro.command(micro.path_of("bazel-bin", name), settings.quick)) for name in names]


def measure(args):
    """All of it; returns the results."""
    settings = args.settings
    if args.install:
        building.install_what_is_missing([peer for peer in servers.PEERS if peer.key in args.chosen])
    with_micro = "micro" in settings.parts
    ours = [micro.label(name) for name in micro.OURS] if with_micro else []
    folder = building.find(ROOT, programs_folder(args), [*servers.Programs.TARGETS, *ours])
    programs = servers.Programs(folder)
    built, missing = building.build_peers(ROOT, args.chosen)
    yardstick = built[YARDSTICK]
    compared = [programs.millrace()] + [built[key] for key in args.chosen if key in built]
    compared.append(servers.single_reply_server(yardstick.echo[0]))
    benchmarks = [building.path_in(folder, label) for label in ours]
    if with_micro:
        of_peers, unbuilt = building.benchmarks_of_peers(ROOT, programs_folder(args), built)
        benchmarks, missing = benchmarks + of_peers, missing + unbuilt
    load = machine.load_average()
    if load > machine.BUSY:
        say("the machine is busy (load average %.1f): ratios will scatter" % load)
    results = run(settings, programs, compared, yardstick, benchmarks)
    results["servers"] = [dataclasses.asdict(server) for server in compared]
    results["missing"] = missing + not_asked_for(settings)
    cores = machine.choose_cores(machine.usable_cores())
    results["machine"] = machine.describe(ROOT, cores, load)
    results["settings"] = {"rounds": settings.rounds, "seconds": settings.seconds,
                           "micro_rounds": settings.micro_rounds, "command": own_command(args)}
    results["commands"] = commands(settings, compared, cores)
    return results


def run(settings, programs, compared, yardstick, benchmarks=()):
    """Measures, and leaves no process behind; returns the results."""
    cores = machine.choose_cores(machine.usable_cores())
    if cores[0] == cores[1]:
        say("there is one core only: server and client share it, and the rates tell little")
    most = machine.raise_descriptor_limit() - 200
    settings = dataclasses.replace(
        settings, memory_connections=min(settings.memory_connections, most))
    with children.Children() as processes:
        laboratory = measuring.Laboratory(processes, programs, cores)
        comparison = comparing.Comparison(laboratory, compared, yardstick, settings, benchmarks)
        say("%d measurements, about %s" % (
            comparison.progress.steps, comparing.clock(comparison.progress.expected)))
        try:
            return comparison.run()
        except KeyboardInterrupt:
            say("interrupted: %d of %d measurements were made and are lost; nothing is written" % (
                comparison.progress.done, comparison.progress.steps))
            raise


def not_asked_for(settings):
    lines = ["%s: not asked for" % part.replace("_", " ") for part in PARTS
             if part not in settings.parts]
    if "speed" in settings.parts:
        measured = {shape.key for shape in settings.shapes}
        left = ["`%s`" % key for key in shapes.SHAPES if key not in measured]
        lines += ["shapes that were not asked for: " + ", ".join(left)] if left else []
    return lines


def own_command(args):
    """The call that would write the document; where else results went is nobody's business."""
    words = ["--quick"] if args.quick else []
    for name in ("shapes", "peers", "parts", "rounds", "duration"):
        given = getattr(args, name)
        if given is not None and given != DEFAULTS.get(name):
            words.append("--%s=%s" % (name, given))
    return " ".join(["tools/bazel run //benchmarks:compare --", *words, "--write-docs"])


# --- Files, and the end ----------------------------------------------------------------------------

def read_json(path):
    """Raises OSError for what are no results."""
    with open(in_callers_folder(path), encoding="utf-8") as file:
        try:
            results = json.load(file)
            missing = set(comparing.empty_results()) | {"servers", "settings"}
            missing -= set(results)
        except (ValueError, TypeError):
            missing = {"JSON"}
    if missing:
        raise OSError("%s: not what --json writes: no %s" % (path, ", ".join(sorted(missing))))
    return results


def refuse_what_cannot_be_written(args):
    """Before all is measured, rather than after. Raises OSError."""
    for path in (args.json and os.path.dirname(in_callers_folder(args.json)),
                 args.output and os.path.dirname(os.path.abspath(in_callers_folder(args.output)))):
        if path and not os.access(path, os.W_OK):
            raise OSError("%s: not a folder that can be written to" % path)


def write_json(path, results):
    document.write(in_callers_folder(path), json.dumps(results, indent=1) + "\n")


def main(arguments):
    args = parse_arguments(arguments)
    refuse_what_cannot_be_written(args)
    if args.check:
        return check(args)
    results = read_json(args.from_json) if args.from_json else measure(args)
    if args.json:
        write_json(args.json, results)
    shown = document.Document(results)
    print(shown.terminal())
    if args.output or args.write_docs:
        folder = in_callers_folder(args.output) if args.output else os.path.join(ROOT, "docs")
        shown.write(folder)
        say("written: %s/benchmarks.md" % folder)
    return 1 if results["problems"] else 0


def interrupt(*_):
    """The first one ends us, and the next ones find us cleaning up."""
    for number in children.ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for ending in children.ENDINGS:  # Also where a shell has turned them off.
        signal.signal(ending, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    except (children.Failed, OSError, subprocess.CalledProcessError) as error:
        named = getattr(error, "strerror", None) and getattr(error, "filename", None)
        say("%s: %s" % (error.filename, error.strerror) if named else str(error))
        sys.exit(1)
