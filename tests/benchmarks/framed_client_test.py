# SPDX-License-Identifier: Apache-2.0
"""The load for framed servers. The arguments are it, and Millrace's framed server."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import unittest

from benchmarks.comparison import children, readings


class FramedClientTest(unittest.TestCase):

    def run_client(self, port, *flags):
        client, _ = sys.argv[1:3]
        return subprocess.run(
            [os.path.abspath(client), "--connect=127.0.0.1:%d" % port, "--json=-", *flags],
            capture_output=True, text=True, check=False, timeout=60)

    @contextlib.contextmanager
    def server_that(self, changes):
        """Sends back what `changes` makes of it, or ends the connection where that is nothing."""
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while data := changes(connection.recv(1 << 16)):
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with listener:
            yield listener.getsockname()[1]
            thread.join()

    def test_counts_what_comes_back(self):
        with children.Children() as processes:
            server = processes.start([os.path.abspath(sys.argv[2]), "--listen=127.0.0.1:0"],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            done = self.run_client(children.wait_for_port(server), "--connections=10",
                                   "--duration=100ms")
        self.assertEqual(done.returncode, 0, done.stderr)
        load = readings.read_load(done.stdout)
        self.assertGreater(load.messages, 10 * 16)
        self.assertGreater(load.rate, 0)

    def test_a_wrong_byte_is_caught(self):
        with self.server_that(lambda data: data.replace(b"rrrr", b"rrsr", 1)) as port:
            done = self.run_client(port, "--connections=1", "--duration=10s")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("not what was asked for", done.stderr)

    def test_a_server_that_leaves_is_caught(self):
        with self.server_that(lambda data: b"") as port:
            done = self.run_client(port, "--connections=1", "--duration=10s")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ended", done.stderr)

    def test_nobody_is_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        done = self.run_client(port, "--connections=1", "--duration=10s")
        self.assertEqual(done.returncode, 1)
        self.assertIn("connect", done.stderr.lower())


if __name__ == "__main__":
    unittest.main()
