# SPDX-License-Identifier: Apache-2.0
"""Gets what is measured: builds our programs and the peers, and installs what is missing."""

import os
import subprocess
import sys

from benchmarks.comparison import measuring, micro, servers

YARDSTICK = "raw"
CHECKED_TARGETS = ("//examples/echo", "//tools/loadgen")


def say(text):
    print("compare: " + text, file=sys.stderr, flush=True)


# --- Ours ------------------------------------------------------------------------------------------

def bazel_build(root, targets):
    """Optimized; returns the folder they are in."""
    bazel = os.path.join(root, "tools/bazel")
    say("building " + " ".join(targets))
    subprocess.run([bazel, "build", "--config=opt", "--noshow_progress",
                    "--symlink_prefix=/", *targets], cwd=root,
                   check=True, stdout=sys.stderr)
    done = subprocess.run([bazel, "info", "--config=opt", "bazel-bin"], cwd=root, check=True,
                          stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def path_in(folder, target):
    """//tools/loadgen is tools/loadgen/loadgen."""
    package, _, name = target[len("//"):].partition(":")
    return os.path.join(folder, package, name or os.path.basename(package))


def find(root, folder, targets):
    """Where they are: in `folder`, or beside us if Bazel runs us, and else where it builds them now.

    Raises OSError if one is not there.
    """
    if not folder and "BUILD_WORKSPACE_DIRECTORY" in os.environ:
        folder = os.getcwd()
    folder = os.path.abspath(folder) if folder else bazel_build(root, targets)
    for target in targets:
        if not os.access(path_in(folder, target), os.X_OK):
            raise OSError("there is no program %s" % path_in(folder, target))
    return folder


# --- Other people's --------------------------------------------------------------------------------

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


def build_peers(root, chosen):
    """Returns ({key: server} of the yardstick and those that are `chosen`, what is missing)."""
    built, missing = {}, []
    for peer in servers.PEERS:
        if peer.key != YARDSTICK and peer.key not in chosen:
            continue
        if servers.version_of(peer) is None:
            missing.append("%s: there is no <%s>; `apt-get install %s`, or --install" % (
                peer.title, peer.header, peer.package))
            say("left out: " + missing[-1])
            continue
        built[peer.key] = servers.peer_server(peer, servers.compile_peer(peer, root, cache_folder()))
    missing += ["%s: not asked for" % (
        peer.title if peer.key != YARDSTICK else "the yardstick beside itself")
                for peer in servers.PEERS if peer.key not in chosen]
    return built, missing


def benchmarks_of_peers(root, folder, built):
    """Returns (the programs of micro-benchmarks on libraries that are there, what is missing).

    They are no part of //..., since a fresh machine has not got their libraries; one that does not
    build is no reason to measure nothing.
    """
    programs, missing = [], []
    for key, name in micro.PEERS.items():
        if key not in built:
            continue
        try:
            where = folder or bazel_build(root, [micro.label(name)])
            programs.append(path_in(where, micro.label(name)))
        except subprocess.CalledProcessError:
            missing.append("micro-benchmarks of %s: %s does not build" % (
                built[key].title, micro.label(name)))
            say(missing[-1])
    return programs, missing
