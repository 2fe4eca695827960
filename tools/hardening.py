#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks whether an optimized program is hardened, as .bazelrc (`build:opt`) asks for.

    tools/hardening.py [PROGRAM]

Without PROGRAM it builds //examples/echo with --config=opt and looks at that. Prints what is
missing, a line for each; exits with 0 if nothing is, 1 if something is.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BAZEL = os.path.join(ROOT, "tools/bazel")

# What `readelf` says of a program that has it, and the flag that brings it.
MARKS = [
    (r"^\s*Type:\s+DYN", "position independent: -pie"),
    (r"\bBIND_NOW\b|Flags:.*\bNOW\b", "all symbols bound at start: -z now"),
    (r"\bGNU_RELRO\b", "read-only after relocation: -z relro"),
    (r"\bGNU_STACK\b.*\sRW\s", "no executable stack: -z noexecstack"),
    (r"\b__stack_chk_fail\b", "guarded stacks: -fstack-protector-strong"),
    (r"\b__(?!stack|fdelt)\w+_chk\b", "checked libc calls: -D_FORTIFY_SOURCE=2"),
    (r"\b_ZSt21__glibcxx_assert_fail\w+", "checked containers: -D_GLIBCXX_ASSERTIONS"),
]


def missing(described):
    """Returns what `described`, as readelf prints it, has not."""
    return [what for mark, what in MARKS if not re.search(mark, described, re.MULTILINE)]


def describe(program):
    return subprocess.run(["readelf", "--wide", "--file-header", "--dynamic", "--program-headers",
                           "--dyn-syms", program], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def build():
    subprocess.run([BAZEL, "build", "--config=opt", "--noshow_progress", "//examples/echo"],
                   cwd=ROOT, check=True)
    folder = subprocess.run([BAZEL, "info", "--config=opt", "bazel-bin"], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return os.path.join(folder.strip(), "examples/echo/echo")


def main(arguments):
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.exit(__doc__)
    try:
        program = arguments[0] if arguments else build()
        found = missing(describe(program))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit("tools/hardening.py: %s" % error)
    for what in found:
        print("%s: not %s" % (program, what))
    print("%s has %d of %d protections" % (program, len(MARKS) - len(found), len(MARKS)))
    if found:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
