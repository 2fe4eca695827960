# SPDX-License-Identifier: Apache-2.0
"""Processes end with those who started them, and say why they failed."""

import os
import subprocess
import unittest

from benchmarks.comparison import children, machine, measuring, shapes
from benchmarks.comparison.servers import Server


class ChildrenTest(unittest.TestCase):

    def setUp(self):
        self.processes = children.Children()
        # As long as somebody holds its other end, nothing is read from it.
        self.alive, self.held = os.pipe()
        self.addCleanup(os.close, self.alive)

    def start(self, script):
        """And waits for its first line."""
        process = self.processes.start(["sh", "-c", script], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, pass_fds=[self.held])
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def assert_all_ended(self):
        os.close(self.held)
        self.assertEqual(os.read(self.alive, 1), b"")

    def test_none_outlives_us(self):
        with self.processes:
            process = self.start("echo ready; cat")
        self.assertLess(process.returncode, 0)
        self.assert_all_ended()

    def test_nor_does_what_they_have_started(self):
        with self.processes:
            self.start("exec 3<&0; cat <&3 & echo ready; wait")
        self.assert_all_ended()

    def test_an_interrupt_ends_them_too(self):
        with self.assertRaises(KeyboardInterrupt):
            with self.processes:
                self.start("echo ready; cat")
                raise KeyboardInterrupt
        self.assert_all_ended()

    def test_they_heed_signals(self):
        with self.processes:
            process = self.start("echo ready; kill -TERM $$; cat")
            self.assertEqual(self.processes.wait(process), -15)
        self.assert_all_ended()

    def test_the_last_line_is_the_reason(self):
        os.close(self.held)
        with self.processes, self.assertRaisesRegex(children.Failed, "^because$"):
            self.processes.run(["sh", "-c", "echo well >&2; echo because >&2; exit 3"], 60)


class ServingTest(unittest.TestCase):

    def serve(self, script):
        core = min(machine.usable_cores())
        server = Server("peer", "Peer", ("sh", "-c", script), ())
        with children.Children() as processes:
            laboratory = measuring.Laboratory(processes, None, (core, core))
            with laboratory.serving(server, shapes.SHAPES["c1"]) as (_, port):
                return port

    def test_a_server_says_why_it_did_not_start(self):
        with self.assertRaisesRegex(children.Failed, "did not start: no such flag"):
            self.serve("echo no such flag >&2; exit 1")

    def test_a_server_says_why_it_ended_badly(self):
        script = "trap 'echo too late >&2; exit 7' TERM; echo listening on 127.0.0.1:5; while :; do :; done"
        with self.assertRaisesRegex(children.Failed, "exit code 7: too late"):
            self.serve(script)

    def test_a_server_that_ends_well(self):
        script = "trap 'exit 0' TERM; echo listening on 127.0.0.1:5; while :; do :; done"
        self.assertEqual(self.serve(script), 5)


if __name__ == "__main__":
    unittest.main()
