# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: what they are built from, and how they are started."""

import dataclasses
import hashlib
import os
import subprocess

FLAGS = ["-std=c++20", "-O2", "-DNDEBUG", "-Wall", "-Wextra"]


@dataclasses.dataclass(frozen=True)
class Peer:
    """An echo server of benchmarks/peers, on somebody else's library."""
    key: str
    title: str
    source: str
    header: str = "sys/epoll.h"
    package: str = ""  # Debian's name for what has the header.
    flags: tuple = ()
    version: str = ""  # What says it, once the header is included.


PEERS = [
    Peer("raw", "raw LT", "raw_epoll.cc"),
    Peer("asio", "Asio", "asio_echo.cc", "asio/version.hpp", "libasio-dev",
         ("-DASIO_STANDALONE", "-pthread"), "ASIO_VERSION"),
    Peer("libev", "libev", "libev_echo.cc", "ev.h", "libev-dev", ("-lev",),
         "EV_VERSION_MAJOR.EV_VERSION_MINOR"),
    Peer("libevent", "libevent", "libevent_echo.cc", "event2/event.h", "libevent-dev",
         ("-levent_core",), "EVENT__VERSION"),
    Peer("libuv", "libuv", "libuv_echo.cc", "uv.h", "libuv1-dev", ("-luv",),
         "UV_VERSION_MAJOR.UV_VERSION_MINOR.UV_VERSION_PATCH"),
]


@dataclasses.dataclass(frozen=True)
class Server:
    """How to start one. Its first line tells where it listens."""
    key: str
    title: str
    echo: tuple  # The command.
    framed: tuple
    version: str = ""

    def command(self, shape):
        """A flag that is given twice counts as given last."""
        return [*(self.framed if shape.framed else self.echo),
                *(shape.server_flags if self.key == "millrace" else ())]


@dataclasses.dataclass(frozen=True)
class Programs:
    """Where Bazel has put ours."""
    folder: str

    TARGETS = ("//examples/echo", "//tools/loadgen", "//benchmarks:framed_server")

    def path(self, name):
        return os.path.join(self.folder, name)

    def load_client(self):
        return self.path("tools/loadgen/loadgen")

    def millrace(self):
        """With all its default limits and timeouts."""
        flags = ("--listen=127.0.0.1:0", "--threads=1")
        return Server("millrace", "Millrace", (self.path("examples/echo/echo"),) + flags,
                      (self.path("benchmarks/framed_server"),) + flags)


def compiler():
    return os.environ.get("CXX", "g++")


def preprocess(text, peer):
    """What the compiler makes of `text` behind the peer's header; None if that is not there."""
    flags = [flag for flag in peer.flags if flag.startswith("-D")]
    done = subprocess.run([compiler(), "-std=c++20", *flags, "-E", "-P", "-x", "c++", "-"],
                          input="#include <%s>\n%s\n" % (peer.header, text), text=True,
                          capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def version_of(peer):
    """"1.44.2", or "" for what has none; None if the library is not installed."""
    text = preprocess("peer_version " + peer.version, peer)
    if text is None:
        return None
    version = text.rpartition("peer_version")[2].replace('"', "").replace(" ", "").strip()
    if peer.key == "asio" and version.isdigit():  # 102201 is 1.22.1.
        number = int(version)
        return "%d.%d.%d" % (number // 100_000, number // 100 % 1000, number % 100)
    return version


def compile_command(peer, program="PROGRAM"):
    """Run in the root of the tree."""
    return [compiler(), *FLAGS, "-I.", "benchmarks/peers/" + peer.source, "-o", program, *peer.flags]


def compile_peer(peer, root, cache):
    """Returns the program, from the cache if nothing has changed; raises OSError if it cannot be."""
    text = repr((compile_command(peer), version_of(peer), compiler_version()))
    for name in (peer.source, "frames.h", "peer_main.h"):
        with open(os.path.join(root, "benchmarks/peers", name), encoding="utf-8") as file:
            text += file.read()
    name = "%s-%s" % (peer.key, hashlib.sha256(text.encode()).hexdigest()[:16])
    program = os.path.join(cache, name)
    if not os.path.exists(program):
        os.makedirs(cache, exist_ok=True)
        unfinished = "%s.%d" % (program, os.getpid())
        done = subprocess.run(compile_command(peer, unfinished), cwd=root, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise OSError("%s does not compile:\n%s" % (peer.source, done.stderr))
        os.rename(unfinished, program)
    return program


def compiler_version():
    done = subprocess.run([compiler(), "--version"], text=True, capture_output=True, check=False)
    return done.stdout.split("\n")[0]


def peer_server(peer, program):
    framed = (program, "--port=0", "--framed")
    if peer.key == "raw":  # The yardstick sends what belongs together together.
        framed += ("--joined",)
    return Server(peer.key, peer.title, (program, "--port=0"), framed, version_of(peer) or "")


def single_reply_server(program):
    """The yardstick without the joining: what that is worth."""
    return Server("raw_single", "raw LT, a send for each reply", (program, "--port=0"),
                  (program, "--port=0", "--framed"))
