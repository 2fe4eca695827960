# SPDX-License-Identifier: Apache-2.0
"""The shapes of load that servers are compared in."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Shape:
    key: str
    title: str
    connections: int
    message_bytes: int = 64
    pipeline: int = 1
    mode: str = "echo"  # The load client's, or "framed": echo of requests.
    idle_beside: int = 0  # Connections that are open, and silent, meanwhile.
    server_flags: tuple = ()  # Of ours, which then is the only one that is compared.

    @property
    def ours_only(self):
        return bool(self.server_flags)

    @property
    def framed(self):
        return self.mode == "framed"

    def load_flags(self, seconds, mode=None):
        """The flags of the client, but for where the server is. `mode` replaces the shape's."""
        mode = mode or self.mode
        flags = ["--threads=1", "--framed" if mode == "framed" else "--mode=" + mode,
                 "--connections=%d" % self.connections]
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
    Shape("c1", "1 connection, 64 B", 1),
    Shape("c1_busy", "1 connection, polling before sleeping", 1,
          server_flags=("--busy_poll=100us",)),
    Shape("c10", "10 connections, 64 B", 10),
    Shape("c100", "100 connections, 64 B", 100),
    Shape("c100_2loops", "100 connections, 2 loops on one core", 100,
          server_flags=("--threads=2",)),
    Shape("c1000", "1,000 connections, 64 B", 1000),
    Shape("m4k", "100 connections, 4 KiB", 100, 4 * KIB),
    Shape("m16k", "100 connections, 16 KiB", 100, 16 * KIB),
    Shape("m64k", "10 connections, 64 KiB", 10, 64 * KIB),
    Shape("m1m", "10 connections, 1 MiB", 10, KIB * KIB),
    Shape("pipe", "100 connections, 16 x 64 B in flight", 100, pipeline=16),
    Shape("framed", "100 connections, 16 requests in flight", 100, pipeline=16, mode="framed"),
    Shape("churn", "connect, one message, close", 100, mode="churn"),
    Shape("big10k", "10,000 connections, 100 of them talk", 100, idle_beside=9900),
]}

QUICK_SHAPES = ["c1", "c100", "m64k", "framed", "churn"]

# Where system calls, instructions and allocations are counted.
COUNTED_SHAPES = ["c1", "c100", "c100_2loops", "churn"]
QUICK_COUNTED_SHAPES = ["c100"]
CHECKED_SHAPES = ["c100", "churn"]


def named(text, default):
    """The shapes that `text`, "c1,m4k", names; raises ValueError for one that is not there."""
    keys = default if text is None else text.split(",")
    for key in keys:
        if key not in SHAPES:
            raise ValueError("no shape %r; there are %s" % (key, ", ".join(SHAPES)))
    return [SHAPES[key] for key in keys]
