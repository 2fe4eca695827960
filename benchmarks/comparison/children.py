# SPDX-License-Identifier: Apache-2.0
"""Processes that end with us, however we end, unless we are killed outright."""

import glob
import os
import re
import select
import signal
import subprocess
import time

ENDINGS = [signal.SIGINT, signal.SIGTERM]
PATIENCE_SECONDS = 60  # With a server that runs under valgrind, say.


class Failed(Exception):
    """A measurement could not be made, for a reason that belongs into the results."""


class Children:
    """Starts processes, and knows them until they are ended. A context manager."""

    def __init__(self):
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in list(self.running):
            self.end(process, signal.SIGKILL)

    def start(self, command, **options):
        """Each has a group of its own: what the terminal sends, only we get.

        A signal waits until we know of the process; the process itself is not to wait.
        """
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            process = subprocess.Popen(
                command, start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask), **options)
            self.running.append(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return process

    def end(self, process, number=signal.SIGTERM):
        """Signals it and those it started, and waits. Returns its exit code."""
        if process.poll() is None:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                pass
        return self.wait(process)

    def wait(self, process, seconds=PATIENCE_SECONDS):
        """Until it ends; one that does not is killed, and told as Failed."""
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.forget(process)
            raise Failed("%s did not end in %g s" % (process.args[0], seconds)) from None
        self.forget(process)
        return code

    def forget(self, process):
        if process in self.running:
            self.running.remove(process)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()

    def run(self, command, seconds):
        """Returns what it prints; Failed if its exit code is not 0."""
        process = self.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.end(process, signal.SIGKILL)
            raise Failed("%s took more than %g s" % (os.path.basename(command[0]), seconds)) from None
        self.forget(process)
        if process.returncode != 0:
            lines = err.strip().splitlines() or ["exit code %d" % process.returncode]
            raise Failed(lines[-1])
        return out


def wait_for_port(process, seconds=PATIENCE_SECONDS):
    """The port in the first line that a server prints, `listening on 127.0.0.1:7007`."""
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise Failed("the server did not begin to listen")
    line = process.stdout.readline()
    if not line:
        raise Failed("the server did not start")
    match = re.match(r"listening on 127\.0\.0\.1:(\d+)$", line.strip())
    if not match:
        raise Failed("the server's first line was %r" % line)
    return int(match[1])


def child_of(pid):
    """The process that `pid` has started: the one that strace traces."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8") as file:
                number, rest = file.read().split(" (", 1)
        except OSError:  # It has just ended.
            continue
        if int(rest.rpartition(") ")[2].split()[1]) == pid:
            return int(number)
    raise Failed("process %d has no child" % pid)


def wait_until(condition, what, seconds=PATIENCE_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed("gave up waiting for %s" % what)
        time.sleep(0.02)


def open_descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))
