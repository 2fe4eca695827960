# SPDX-License-Identifier: Apache-2.0
"""Each errno that the manual gives for a call has a row in a table of tests/faults/errno_*_test.cc.

The lists are from section 2 of the Linux manual, with what tcp(7), ip(7), unix(7) and POSIX add for
stream sockets. A table may have more rows, and a call may have several tables, each whole.
"""

import glob
import os
import re
import unittest

# This file is a link into the tree.
HERE = os.path.dirname(os.path.realpath(__file__))

EPOLL_CTL = "EBADF EEXIST EINVAL ELOOP ENOENT ENOMEM ENOSPC EPERM"
MANUAL = {  # by the table's name
    "Accept4": "EAGAIN EBADF ECONNABORTED EFAULT EINTR EINVAL EMFILE ENFILE ENOBUFS ENOMEM ENOTSOCK"
               " EOPNOTSUPP EPERM EPROTO ENOSR ESOCKTNOSUPPORT EPROTONOSUPPORT ETIMEDOUT"
               " ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH",
    "Bind": "EACCES EADDRINUSE EBADF EINVAL ENOTSOCK EADDRNOTAVAIL EFAULT ELOOP ENAMETOOLONG ENOENT"
            " ENOMEM ENOTDIR EROFS",
    "Connect": "EACCES EPERM EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNREFUSED"
               " EFAULT EINPROGRESS EINTR EISCONN ENETUNREACH ENOTSOCK EPROTOTYPE ETIMEDOUT"
               " ECONNRESET EHOSTUNREACH EINVAL ELOOP ENAMETOOLONG ENETDOWN ENOBUFS ENOENT ENOTDIR"
               " EOPNOTSUPP",
    "EpollCreate1": "EINVAL EMFILE ENFILE ENOMEM",
    "EpollCtlAdd": EPOLL_CTL,
    "EpollCtlModify": EPOLL_CTL,
    "EpollCtlRemove": EPOLL_CTL,
    "EpollWait": "EBADF EFAULT EINTR EINVAL",
    "Eventfd": "EINVAL EMFILE ENFILE ENODEV ENOMEM",
    "Getsockopt": "EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK",
    "Listen": "EADDRINUSE EBADF ENOTSOCK EOPNOTSUPP",
    "Read": "EAGAIN EBADF EFAULT EINTR EINVAL EIO",
    "Recv": "EAGAIN EBADF ECONNREFUSED EFAULT EINTR EINVAL ENOMEM ENOTCONN ENOTSOCK"
            " ECONNRESET ETIMEDOUT EIO ENOBUFS EHOSTUNREACH ENETUNREACH EPIPE",
    "Send": "EACCES EAGAIN EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT EINTR EINVAL EISCONN EMSGSIZE"
            " ENOBUFS ENOMEM ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE EHOSTUNREACH EIO ENETDOWN ENETUNREACH"
            " ETIMEDOUT EPERM",
    "Sendfile": "EAGAIN EBADF EFAULT EINVAL EIO ENOMEM EOVERFLOW ESPIPE EINTR EPIPE ECONNRESET",
    "Setsockopt": "EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK EDOM ENOBUFS ENOMEM EACCES EPERM",
    "Shutdown": "EBADF EINVAL ENOTCONN ENOTSOCK",
    "Signalfd": "EBADF EINVAL EMFILE ENFILE ENODEV ENOMEM",
    "Socket": "EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS ENOMEM EPROTONOSUPPORT",
    "TimerfdCreate": "EINVAL EMFILE ENFILE ENODEV ENOMEM EPERM",
    "TimerfdSettime": "EBADF EFAULT EINVAL ECANCELED",
    "Write": "EAGAIN EBADF EFAULT EINTR EINVAL EIO ENOSPC EPIPE",
}

TABLE = re.compile(r"constexpr ErrnoRow k(\w+)Rows\[\] = \{\n(.*?)\n\};", re.DOTALL)
ROW = re.compile(r"\{(E\w+), Effect::k\w+\}")


def read(pattern):
    text = ""
    for path in sorted(glob.glob(os.path.join(HERE, pattern))):
        with open(path, encoding="utf-8") as file:
            text += file.read()
    return text


class ErrnoRowsTest(unittest.TestCase):

    def setUp(self):
        self.tests = read("errno_*_test.cc")
        self.tables = {name: ROW.findall(rows) for name, rows in TABLE.findall(self.tests)}

    def test_each_errno_of_the_manual_has_a_row(self):
        for call, errnos in MANUAL.items():
            self.assertIn(call, self.tables)
            self.assertEqual(set(errnos.split()) - set(self.tables[call]), set(), call)

    def test_no_errno_has_two_rows(self):
        for call, rows in self.tables.items():
            self.assertEqual(len(rows), len(set(rows)), call)

    def test_each_table_is_of_a_call_of_the_manual(self):
        self.assertEqual(set(self.tables) - set(MANUAL), set())

    def test_each_table_is_run(self):
        for call in self.tables:
            self.assertRegex(self.tests, r"INSTANTIATE_TEST_SUITE_P\([^;]*ValuesIn\(k%sRows\)" % call)

    def test_each_call_that_can_be_made_to_fail_has_a_table(self):
        # What else is wrapped is the same call by another name, or of a poller that is not the default.
        others = {"Poll", "Pread", "Select", "Sendmsg"}
        with open(os.path.join(HERE, "../support/fault_injection.h"), encoding="utf-8") as file:
            calls = re.findall(r"^  k(\w+),$", re.search(r"enum class Call \{(.*?)\};", file.read(),
                                                        re.DOTALL)[1], re.MULTILINE)
        self.assertGreater(len(calls), 20)
        for call in set(calls) - others:
            self.assertTrue(any(table.startswith(call) for table in self.tables), call)


if __name__ == "__main__":
    unittest.main()
