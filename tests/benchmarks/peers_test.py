# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared do their work: no byte is lost, whatever the client does.

What they get wrong would look fast. Each story is told to each of them; those whose library is not
installed are skipped, by name. The argument is Millrace's framed server.
"""

import contextlib
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

from benchmarks.comparison import children, servers

# This file is a link into the tree.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
TIMEOUT_SECONDS = 60
# More than the kernel keeps for one connection, so that a server's send falls short.
LARGE = 24 << 20
# Still more than goes through, but not so much that a server would stop reading before the end.
SOME = 4 << 20


def frame(body):
    return struct.pack(">I", len(body)) + body


def random_bytes(size):
    return random.Random(size).randbytes(size)


def receive(connection, size):
    """So many bytes, or fewer if the server ends before."""
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            break
        data += piece
    return bytes(data)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Stories:
    """A server with `command()`, which is running while a test does."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.processes = stack.enter_context(children.Children())
        self.process = self.processes.start(self.command(), stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True)
        self.port = children.wait_for_port(self.process)
        self.stack = stack

    def connect(self, receive_bytes=None):
        connection = self.stack.enter_context(socket.socket())
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def assert_answers(self, connection, data):
        """All of `data` comes back, however slowly it is read."""
        self.assert_comes_back(connection, data, lambda: connection.sendall(data))

    def assert_comes_back(self, connection, data, send, patience=0):
        sender = threading.Thread(target=send)
        sender.start()
        sender.join(timeout=patience)
        received = receive(connection, len(data))
        sender.join()
        self.assertEqual(len(received), len(data))
        self.assertTrue(received == data, "other bytes came back")

    def end(self, number=signal.SIGTERM):
        os.kill(self.process.pid, number)
        return self.processes.wait(self.process)

    def test_ends_well_when_told_to(self):
        self.assertEqual(self.end(), 0)

    def test_ends_well_while_somebody_is_connected(self):
        self.assert_answers(self.connect(), frame(b"hello"))
        self.assertEqual(self.end(signal.SIGINT), 0)

    def test_a_slow_reader_loses_nothing(self):
        body = random_bytes(60_000)
        self.assert_answers(self.connect(receive_bytes=16 << 10), frame(body) * (LARGE // len(body)))

    def test_what_came_before_the_end_is_answered(self):
        connection = self.connect(receive_bytes=1)  # As little as there is.
        body = random_bytes(60_000)
        data = frame(body) * (SOME // len(body))

        def send():
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        # The server is to see the end before it is rid of its answer.
        self.assert_comes_back(connection, data, send, patience=0.5)
        self.assertEqual(receive(connection, 1), b"")

    def test_resets_harm_nobody_else(self):
        bystander = self.connect()
        self.assert_answers(bystander, frame(b"before"))
        for _ in range(50):
            connection = self.connect()
            connection.sendall(frame(b"x" * 10_000) * 5)
            reset(connection)
        self.assert_answers(bystander, frame(b"after"))
        self.assert_answers(self.connect(), frame(b"anew"))

    def test_many_are_answered_each_its_own(self):
        connections = [self.connect() for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.sendall(frame(b"to %d" % number))
        for number, connection in enumerate(connections):
            self.assertEqual(receive(connection, len(frame(b"to %d" % number))),
                             frame(b"to %d" % number))


class FramedStories(Stories):

    def test_frames_may_be_cut_anywhere(self):
        data = frame(b"first") + frame(b"") + frame(b"the third")
        connection = self.connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(data)):
            connection.sendall(data[:cut])
            # An answer to what is whole proves that the first part was read by itself.
            whole = len(frame(b"first")) if cut >= len(frame(b"first")) else 0
            first = receive(connection, whole)
            connection.sendall(data[cut:])
            self.assertEqual(first + receive(connection, len(data) - whole), data, "cut at %d" % cut)

    def test_one_that_is_larger_than_a_read(self):
        self.assert_answers(self.connect(), frame(random_bytes(900_000)))

    def test_a_length_out_of_bounds_ends_the_connection(self):
        connection = self.connect()
        connection.sendall(b"\xff\xff\xff\xff")
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(receive(connection, 1), b"")
        self.assert_answers(self.connect(), frame(b"others go on"))


class PeerStories(Stories):
    peer_key = None
    flags = ()

    @classmethod
    def setUpClass(cls):
        peer = next(peer for peer in servers.PEERS if peer.key == cls.peer_key)
        if servers.version_of(peer) is None:
            raise unittest.SkipTest("%s is not installed" % peer.title)
        cls.program = servers.compile_peer(peer, ROOT, CACHE)

    def command(self):
        return [self.program, "--port=0", *self.flags]


class RawEcho(PeerStories, unittest.TestCase):
    peer_key = "raw"


class RawFramed(PeerStories, FramedStories, unittest.TestCase):
    peer_key, flags = "raw", ("--framed",)


class RawJoined(PeerStories, FramedStories, unittest.TestCase):
    peer_key, flags = "raw", ("--framed", "--joined")


class AsioEcho(PeerStories, unittest.TestCase):
    peer_key = "asio"


class AsioFramed(PeerStories, FramedStories, unittest.TestCase):
    peer_key, flags = "asio", ("--framed",)


class LibevEcho(PeerStories, unittest.TestCase):
    peer_key = "libev"


class LibevFramed(PeerStories, FramedStories, unittest.TestCase):
    peer_key, flags = "libev", ("--framed",)


class LibeventEcho(PeerStories, unittest.TestCase):
    peer_key = "libevent"


class LibeventFramed(PeerStories, FramedStories, unittest.TestCase):
    peer_key, flags = "libevent", ("--framed",)


class LibuvEcho(PeerStories, unittest.TestCase):
    peer_key = "libuv"


class LibuvFramed(PeerStories, FramedStories, unittest.TestCase):
    peer_key, flags = "libuv", ("--framed",)


class MillraceFramed(FramedStories, unittest.TestCase):

    def command(self):
        return [os.path.abspath(sys.argv[1]), "--listen=127.0.0.1:0", "--threads=1"]


class FlagsTest(unittest.TestCase):

    def test_what_it_does_not_know_is_refused(self):
        raw = next(peer for peer in servers.PEERS if peer.key == "raw")
        program = servers.compile_peer(raw, ROOT, CACHE)
        for flag in ("--port=x", "--port=70000", "--fast"):
            done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(flag, done.stderr)


FOLDER = tempfile.TemporaryDirectory()
CACHE = FOLDER.name

if __name__ == "__main__":
    unittest.main()
