# SPDX-License-Identifier: Apache-2.0
"""Runs servers under load, and takes what it costs them. Here is all that touches the machine."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from benchmarks.comparison import children, micro, readings
from benchmarks.comparison.children import Failed

SETTLE_SECONDS = 0.05  # For a server to see the last of its connections end.


class Laboratory:
    """Servers run on one core, their clients on another one."""

    def __init__(self, processes, programs, cores):
        self.processes = processes
        self.programs = programs
        self.server_core, self.client_core = cores

    @contextlib.contextmanager
    def serving(self, server, shape, tool=()):
        """Runs it, below `tool` if there is one; gives its process and port, and ends it."""
        command = pinned(self.server_core, [*tool, *server.command(shape)])
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
            process = self.processes.start(command, stdout=subprocess.PIPE, stderr=log, text=True)
            try:
                port = self.port_of(process, log)
                pid = process.pid if tool[:1] != ("strace",) else children.child_of(process.pid)
                yield pid, port
                os.kill(pid, signal.SIGTERM)  # Not the tool: it is to see the server end.
                code = self.processes.wait(process)
            finally:
                self.processes.end(process, signal.SIGKILL)
            if code != 0:
                raise Failed("the server ended with exit code %d%s" % (code, last_words(log)))

    @staticmethod
    def port_of(process, log):
        try:
            return children.wait_for_port(process)
        except Failed as failure:
            raise Failed("%s%s" % (failure, last_words(log))) from None

    def client_command(self, port, flags):
        program = self.programs.load_client()
        return pinned(self.client_core, [program, "--connect=127.0.0.1:%d" % port, "--json=-", *flags])

    def put_load(self, shape, port, seconds):
        """Returns what the client reports."""
        command = self.client_command(port, shape.load_flags(seconds))
        text = self.processes.run(command, seconds + children.PATIENCE_SECONDS)
        return readings.read_load(text, in_flight=shape.connections * shape.pipeline)

    def connect_only(self, shape, port, seconds):
        command = self.client_command(port, shape.idle_flags(seconds))
        self.processes.run(command, seconds + children.PATIENCE_SECONDS)

    @contextlib.contextmanager
    def silent_connections(self, shape, pid, port):
        """Those of the shape that are open, and silent, while the others talk."""
        if shape.idle_beside == 0:
            yield
            return
        before = children.open_descriptors(pid)
        command = self.client_command(port, ["--mode=idle", "--threads=1", "--duration=1h",
                                             "--warmup=0s", "--connections=%d" % shape.idle_beside])
        client = self.processes.start(command, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        try:
            children.wait_until(
                lambda: children.open_descriptors(pid) >= before + shape.idle_beside,
                "%d silent connections" % shape.idle_beside)
            yield
        finally:
            self.processes.end(client)

    def measure(self, server, shape, seconds):
        """Returns (messages per second, microseconds of CPU per message)."""
        with self.serving(server, shape) as (pid, port):
            with self.silent_connections(shape, pid, port):
                before = readings.cpu_nanoseconds(pid)
                load = self.put_load(shape, port, seconds)
                time.sleep(SETTLE_SECONDS)
                after = readings.cpu_nanoseconds(pid)
        return load.rate, (after - before) / 1000 / load.messages

    def count(self, server, shape, seconds, counter):
        """{part: what a loaded run costs more than one that only connects, for each message}.

        A churned connection is made for its message: there, the other run makes none.
        """
        loaded, messages = self.count_once(
            server, shape, counter, lambda port: self.put_load(shape, port, seconds).messages)
        idle, _ = self.count_once(
            server, shape, counter,
            lambda port: shape.mode != "churn" and self.connect_only(shape, port, 0.2))
        return {part: (loaded[part] - idle[part]) / messages for part in loaded}

    def count_once(self, server, shape, counter, run):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "counts")
            with self.serving(server, shape, counter.command(path)) as (_, port):
                result = run(port)
            return counter.parse(readings.read(path)), result

    def run_benchmark(self, program, quick):
        """As micro.read_benchmarks() returns it. It has threads, and places them itself."""
        text = self.processes.run(micro.command(program, quick), micro.TIMEOUT_SECONDS)
        return micro.read_benchmarks(text)


def last_words(log):
    """The last line that a server wrote to its log; "" if it was silent."""
    log.seek(0)
    lines = log.read().split("\n")
    return "".join(": " + line for line in [line for line in lines if line.strip()][-1:])


def pinned(core, command):
    return ["taskset", "-c", str(core), *command]


class SystemCalls:
    """Counts them with strace."""
    program = "strace"
    parts = ("system_calls",)

    def command(self, path):
        return ("strace", "-f", "-c", "-o", path)

    def parse(self, text):
        return {"system_calls": readings.read_system_calls(text)}


class Instructions:
    """Counts those of the process itself, not the kernel's, and its allocations, with valgrind."""
    program = "valgrind"
    parts = ("instructions", "allocations")

    def command(self, path):
        return ("valgrind", "--tool=callgrind", "-q", "--callgrind-out-file=" + path)

    def parse(self, text):
        return {"instructions": readings.read_instructions(text),
                "allocations": readings.read_allocations(text)}


def is_there(counter):
    return shutil.which(counter.program) is not None


# --- Memory ----------------------------------------------------------------------------------------

def exchange(connections, size):
    """An echo of `size` bytes on each."""
    message = bytes(size)
    for connection in connections:
        connection.sendall(message)
        left = size
        while left > 0:
            received = connection.recv(left)
            if not received:
                raise Failed("the server closed")
            left -= len(received)


def measure_memory(laboratory, server, shape, count):
    """Bytes per connection: of silent ones, and after an echo of 64 B, and of 16 KiB, on each."""
    with laboratory.serving(server, shape) as (pid, port), contextlib.ExitStack() as stack:
        before = readings.anonymous_bytes(pid)
        descriptors = children.open_descriptors(pid)
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
                       for _ in range(count)]
        children.wait_until(lambda: children.open_descriptors(pid) >= descriptors + count,
                            "%d connections" % count)
        figures = {"base": before}

        def note(name, pause):
            time.sleep(pause)
            figures[name] = (readings.anonymous_bytes(pid) - before) / count

        note("silent", 0.1)
        exchange(connections, 64)
        note("small", 0.1)
        exchange(connections, 16 << 10)
        note("large", 1.0)
    return figures
