# SPDX-License-Identifier: Apache-2.0
"""The shapes of load that servers are compared in, and what Millrace is to reach in each."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Shape:
    key: str
    title: str
    connections: int
    message_bytes: int = 64
    pipeline: int = 1
    mode: str = "echo"  # "framed" is not the load client's: framed_client plays it.
    idle_beside: int = 0  # Connections that are open, and silent, meanwhile.
    goal: float = 0.0  # The yardstick's CPU time per message divided by ours; 0: none.

    @property
    def framed(self):
        return self.mode == "framed"

    def load_flags(self, seconds, mode=None):
        """The flags of the client, but for where the server is. `mode` replaces the shape's."""
        mode = mode or self.mode
        flags = ["--connections=%d" % self.connections]
        if mode != "framed":
            flags = ["--threads=1", "--mode=" + mode] + flags
        if mode != "idle":
            flags.append("--message_bytes=%d" % self.message_bytes)
        if mode in ("echo", "framed"):
            flags.append("--pipeline=%d" % self.pipeline)
        return flags + ["--warmup=0s", "--duration=%gs" % seconds]

    def idle_flags(self, seconds):
        """Those of a run that makes the same connections, and sends nothing."""
        return self.load_flags(seconds, mode="idle")


KIB = 1 << 10

SHAPES = {shape.key: shape for shape in [
    Shape("c1", "1 connection, 64 B", 1, goal=1.0),
    Shape("c10", "10 connections, 64 B", 10, goal=1.0),
    Shape("c100", "100 connections, 64 B", 100, goal=1.0),
    Shape("c1000", "1,000 connections, 64 B", 1000, goal=1.0),
    Shape("m4k", "100 connections, 4 KiB", 100, 4 * KIB, goal=1.0),
    Shape("m16k", "100 connections, 16 KiB", 100, 16 * KIB, goal=1.0),
    Shape("m64k", "10 connections, 64 KiB", 10, 64 * KIB, goal=1.0),
    Shape("m1m", "10 connections, 1 MiB", 10, KIB * KIB, goal=1.6),
    Shape("pipe", "100 connections, 16 x 64 B in flight", 100, pipeline=16, goal=1.0),
    Shape("framed", "100 connections, 16 requests in flight", 100, pipeline=16, mode="framed",
          goal=0.9),
    Shape("churn", "connect, one message, close", 100, mode="churn", goal=1.05),
    Shape("big10k", "10,000 connections, 100 of them talk", 100, idle_beside=9900),
]}

QUICK_SHAPES = ["c1", "c100", "m64k", "framed", "churn"]

# Where system calls and instructions are counted. Goals: at most so many.
COUNTED_SHAPES = ["c1", "c100", "churn"]
QUICK_COUNTED_SHAPES = ["c100"]
CALL_GOALS = {"c100": 2.05, "churn": 7.4}
INSTRUCTION_GOALS = {"c100": 200}
MEMORY_GOAL = 320


def named(text, default):
    """The shapes that `text`, "c1,m4k", names; raises ValueError for one that is not there."""
    keys = text.split(",") if text else default
    for key in keys:
        if key not in SHAPES:
            raise ValueError("no shape %r; there are %s" % (key, ", ".join(SHAPES)))
    return [SHAPES[key] for key in keys]
