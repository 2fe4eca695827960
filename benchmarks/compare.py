#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Millrace with echo servers on other libraries, and with the least that epoll allows.

    tools/bazel run //benchmarks:compare -- --quick
    benchmarks/compare.py --write-docs --json=results.json

Builds what it needs, pins each server to one core and the load client to another, and runs every
shape of load in pairs of yardstick and server. Prints tables; with --write-docs it also writes
docs/benchmarks.md. A peer whose library is not installed is named and left out; with --install it is
installed, by apt-get. Progress is told on stderr.
"""

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, ROOT)

from benchmarks.comparison import (children, comparing, document, machine, measuring,
                                   servers, shapes)

PARTS = ["speed", "system_calls", "instructions", "memory"]
YARDSTICK = "raw"
DEFAULTS = {"peers": ",".join(peer.key for peer in servers.PEERS), "parts": ",".join(PARTS)}


@dataclasses.dataclass(frozen=True)
class Settings:
    shapes: list
    counted_shapes: list
    parts: list
    rounds: int
    seconds: float
    count_seconds: float
    memory_connections: int


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="benchmarks/compare.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer shapes and rounds: 3 minutes")
    parser.add_argument("--shapes", metavar="LIST", help="of " + ",".join(shapes.SHAPES))
    parser.add_argument("--peers", metavar="LIST", default=DEFAULTS["peers"],
                        help="of %(default)s; raw is the yardstick, against itself")
    parser.add_argument("--parts", metavar="LIST", default=DEFAULTS["parts"], help="of %(default)s")
    parser.add_argument("--rounds", type=int, metavar="N", help="pairs for each ratio; 5, quick 3")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="of a run; 2, quick 0.5")
    parser.add_argument("--install", action="store_true", help="installs what is missing (Debian)")
    parser.add_argument("--json", metavar="FILE", help="writes the results there, too")
    parser.add_argument("--from-json", metavar="FILE", help="measures nothing: shows those results")
    parser.add_argument("--write-docs", action="store_true", help="writes docs/benchmarks.md")
    parser.add_argument("--output", metavar="FOLDER", help="writes it there, and not to docs")
    parser.add_argument("--programs", metavar="FOLDER", help="where they are built; none: builds them")
    args = parser.parse_args(arguments)
    try:
        args.settings = make_settings(args)
        args.chosen = choose("peer", args.peers, [peer.key for peer in servers.PEERS])
    except ValueError as error:
        parser.error(str(error))
    return args


def choose(what, text, known):
    keys = [key for key in text.split(",") if key]
    for key in keys:
        if key not in known:
            raise ValueError("no %s %r; there are %s" % (what, key, ", ".join(known)))
    return keys


def make_settings(args):
    """Raises ValueError for what is not there."""
    quick = args.quick
    chosen = shapes.named(args.shapes, shapes.QUICK_SHAPES if quick else list(shapes.SHAPES))
    counted = shapes.QUICK_COUNTED_SHAPES if quick else shapes.COUNTED_SHAPES
    if args.shapes:
        counted = [shape.key for shape in chosen if shape.key in shapes.COUNTED_SHAPES]
    rounds = args.rounds or (3 if quick else 5)
    seconds = args.duration or (0.5 if quick else 2.0)
    if rounds < 1 or seconds <= 0:
        raise ValueError("--rounds and --duration must be more than 0")
    return Settings(
        shapes=chosen, counted_shapes=[shapes.SHAPES[key] for key in counted],
        parts=choose("part", args.parts, PARTS), rounds=rounds, seconds=seconds,
        count_seconds=min(seconds, 1.0) if quick else seconds,
        memory_connections=2000 if quick else 10_000)


# --- What is there to be measured ------------------------------------------------------------------

def say(text):
    print("compare: " + text, file=sys.stderr, flush=True)


def find_programs(args):
    """Ours: beside us when Bazel runs us, and else where it builds them now."""
    if args.programs:
        return servers.Programs(os.path.abspath(args.programs))
    if "BUILD_WORKSPACE_DIRECTORY" in os.environ:
        return servers.Programs(os.getcwd())
    bazel = [os.path.join(ROOT, "tools/bazel")]
    say("building %s" % " ".join(servers.Programs.TARGETS))
    subprocess.run([*bazel, "build", "--config=opt", *servers.Programs.TARGETS], cwd=ROOT, check=True,
                   stdout=sys.stderr)
    done = subprocess.run([*bazel, "info", "--config=opt", "bazel-bin"], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True)
    return servers.Programs(done.stdout.strip())


def install(packages):
    """By apt-get, which needs root."""
    as_root = [] if os.getuid() == 0 else ["sudo"]
    say("installing " + " ".join(packages))
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy"]
    subprocess.run([*apt, "update"], check=True, stdout=sys.stderr)
    subprocess.run([*apt, "install", "--no-install-recommends", *packages], check=True,
                   stdout=sys.stderr)


def install_what_is_missing(peers):
    packages = [peer.package for peer in peers if servers.version_of(peer) is None]
    packages += [counter.program for counter in (measuring.SystemCalls(), measuring.Instructions())
                 if not measuring.is_there(counter)]
    if packages:
        install(packages)


def cache_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "millrace", "peers")


def build_servers(args, programs):
    """Returns (Millrace and the peers, the yardstick, what is missing)."""
    built, missing = {}, []
    for peer in servers.PEERS:
        if peer.key != YARDSTICK and peer.key not in args.chosen:
            continue
        if servers.version_of(peer) is None:
            missing.append("%s: there is no <%s>; `apt-get install %s`, or --install" % (
                peer.title, peer.header, peer.package))
            say("left out: " + missing[-1])
            continue
        built[peer.key] = servers.peer_server(peer, servers.compile_peer(peer, ROOT, cache_folder()))
    yardstick = built[YARDSTICK]
    compared = [programs.millrace()] + [built[key] for key in args.chosen if key in built]
    compared.append(servers.single_reply_server(yardstick.echo[0]))
    missing += ["%s: not asked for" % (
        peer.title if peer.key != YARDSTICK else "the yardstick beside itself")
                for peer in servers.PEERS if peer.key not in args.chosen]
    return compared, yardstick, missing


# --- Running and telling ---------------------------------------------------------------------------

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
        program, port = (("benchmarks/framed_client", 7009) if shape.framed else
                         ("tools/loadgen/loadgen", 7007))
        lines.append("taskset -c %d bazel-bin/%s --connect=127.0.0.1:%d %s   # %s" % (
            client_core, program, port, " ".join(shape.load_flags(settings.seconds)), shape.key))
    lines += ["", "cat /proc/PID/task/*/schedstat                   # CPU time: before, and after."]
    for counter in (measuring.SystemCalls(), measuring.Instructions()):
        lines.append("taskset -c %d %s SERVER" % (server_core, " ".join(counter.command("FILE"))))
    return lines


def measure(args):
    """All of it; returns the results."""
    cores = machine.choose_cores(machine.usable_cores())
    if cores[0] == cores[1]:
        say("there is one core only: server and client share it, and the rates tell little")
    if args.install:
        install_what_is_missing([peer for peer in servers.PEERS if peer.key in args.chosen])
    programs = find_programs(args)
    compared, yardstick, missing = build_servers(args, programs)
    most = machine.raise_descriptor_limit() - 200
    settings = dataclasses.replace(
        args.settings, memory_connections=min(args.settings.memory_connections, most))
    with children.Children() as processes:
        laboratory = measuring.Laboratory(processes, programs, cores)
        comparison = comparing.Comparison(laboratory, compared, yardstick, settings)
        say("this takes about %.0f s" % comparison.seconds_expected())
        results = comparison.run()
    results["servers"] = [dataclasses.asdict(server) for server in compared]
    results["missing"] = missing
    results["machine"] = machine.describe(ROOT, cores)
    results["settings"] = {"rounds": settings.rounds, "seconds": settings.seconds,
                           "command": own_command(args)}
    results["commands"] = commands(settings, compared, cores)
    return results


def own_command(args):
    """The call that would write the document; where else results went is nobody's business."""
    words = ["--quick"] if args.quick else []
    for name in ("shapes", "peers", "parts", "rounds", "duration"):
        given = getattr(args, name)
        if given is not None and given != DEFAULTS.get(name):
            words.append("--%s=%s" % (name, given))
    return " ".join(["tools/bazel run //benchmarks:compare --", *words, "--write-docs"])


def in_callers_folder(path):
    """`bazel run` runs us elsewhere."""
    return os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd()), path)


def main(arguments):
    args = parse_arguments(arguments)
    if args.from_json:
        with open(in_callers_folder(args.from_json), encoding="utf-8") as file:
            results = json.load(file)
    else:
        results = measure(args)
    if args.json:
        document.write(in_callers_folder(args.json), json.dumps(results, indent=1) + "\n")
    shown = document.Document(results)
    print(shown.terminal())
    if args.output or args.write_docs:
        folder = in_callers_folder(args.output) if args.output else os.path.join(ROOT, "docs")
        shown.write(folder)
        say("written: %s/benchmarks.md" % folder)
    return 1 if results["problems"] else 0


def interrupt(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # Also where a shell has turned them off.
        signal.signal(number, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    except (children.Failed, OSError, subprocess.CalledProcessError) as error:
        say(str(error))
        sys.exit(1)
