# SPDX-License-Identifier: Apache-2.0
"""Tests in Python, in every Bazel from 4 to 9.

Bazel 4 has py_test built in and Bazel 9 has not, and rules_python is one more thing to fetch. But
all of them have cc_test, and tools/run_python.cc turns into Python.
"""

load("@rules_cc//cc:defs.bzl", "cc_test")

def python_test(name, src, args = [], data = [], size = "small", **kwargs):
    """Runs the unittest cases of `src`, which imports from the root: `from tools import lint`.

    Args:
      name: of the test.
      src: the file with the cases.
      args: what they find in sys.argv, after their own path; may use $(rootpath LABEL).
      data: what they read or start, and the modules they import.
      size: as of any test.
      **kwargs: as of cc_test.
    """
    runner = "//tools:run_unittest.py"
    cc_test(
        name = name,
        size = size,
        srcs = ["//tools:run_python.cc"],
        args = ["$(rootpath %s)" % label for label in [runner, src]] + args,
        data = [runner, src] + data,
        **kwargs
    )
