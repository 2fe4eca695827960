#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants the defects of tools/defects.py in a copy of the tree, one after the other, and shows which
test catches each.

    tools/mutate.py [--list] [--only=NAME,NAME...] [--copy=FOLDER]

A test that has never failed proves little. Each defect here is one line that a tired person might
write; the tests beside it must fail with it. Exits with 0 if all were caught, 1 if one was not: it
survived, or did not compile, and so shows nothing.

It takes about a minute for each defect, most of it compiling; the copy, with all that was built in
it, stays in ~/.cache/millrace/mutants for next time.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tools import defects  # noqa: E402, for it needs the line above

COPY = os.path.expanduser("~/.cache/millrace/mutants")
TESTS_FAILED = 3  # What Bazel exits with then.
# Of the soak, so many are enough: most defects show within a hundred. (The other tests pass over
# arguments that are not theirs.)
SEEDS = 2000


def copy_tree(root, copy):
    """Makes `copy` hold what git knows of `root`, as it is now, and nothing else of it."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    wanted = {name for name in listed.split("\0") if name}
    for name in sorted(files_below(copy) - wanted):
        os.remove(os.path.join(copy, name))
    for name in sorted(wanted):
        source, target = os.path.join(root, name), os.path.join(copy, name)
        if not os.path.exists(source) or is_same(source, target):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)


def files_below(folder):
    found = set()
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(path, name))]
        for name in names:
            found.add(os.path.relpath(os.path.join(path, name), folder))
    return found


def is_same(source, target):
    if not os.path.exists(target) or os.path.getsize(source) != os.path.getsize(target):
        return False
    with open(source, "rb") as one, open(target, "rb") as other:
        return one.read() == other.read()


def plant(copy, defect):
    """Returns the text that was there before."""
    path = os.path.join(copy, defect.path)
    with open(path, encoding="utf-8") as source:
        text = source.read()
    with open(path, "w", encoding="utf-8") as source:
        source.write(defect.applied_to(text))
    return text


def run_tests(copy, defect):
    """Returns (exit code, the tests that failed)."""
    done = subprocess.run(
        [os.path.join(copy, "tools/bazel"), "test", "--notest_keep_going", "--noshow_progress",
         "--color=no", "--test_output=summary", "--test_timeout=30",
         "--test_arg=--seeds=%d" % SEEDS, *defect.tests],
        cwd=copy, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False)
    return done.returncode, failed_tests(done.stdout)


def failed_tests(said):
    """Of a sharded test that is stopped at its first failure, Bazel's table says no more than NO
    STATUS: so the lines before it count."""
    return sorted(set(re.findall(r"^(?:FAIL|TIMEOUT): (//\S+)", said, re.M)))


def try_one(copy, defect, tests=run_tests):
    """Returns (whether it was caught, what to say)."""
    before = plant(copy, defect)
    try:
        code, caught = tests(copy, defect)
    finally:
        with open(os.path.join(copy, defect.path), "w", encoding="utf-8") as source:
            source.write(before)
    if code == TESTS_FAILED and caught:
        return True, "caught by " + ", ".join(caught)
    if code == 0:
        return False, "SURVIVED " + ", ".join(defect.tests)
    return False, "shows nothing: Bazel exited with %d" % code


def chosen(names):
    if names is None:
        return defects.ALL
    known = {defect.name: defect for defect in defects.ALL}
    wanted = names.split(",")
    for name in wanted:
        if name not in known:
            sys.exit("tools/mutate.py: there is no defect called %s; see --list" % name)
    return [known[name] for name in wanted]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--list", action="store_true", help="prints the defects, and that is all")
    parser.add_argument("--only", help="these defects, separated by commas")
    parser.add_argument("--copy", default=COPY, help="where the copy is, by default %s" % COPY)
    args = parser.parse_args()
    wanted = chosen(args.only)
    if args.list:
        for defect in wanted:
            print("%-28s %s: %s" % (defect.name, defect.path, defect.what))
        return
    copy_tree(ROOT, args.copy)
    caught = 0
    for number, defect in enumerate(wanted, 1):
        begun = time.monotonic()
        found, what = try_one(args.copy, defect)
        caught += found
        print("%2d/%d %-28s %4.0f s  %s" % (number, len(wanted), defect.name,
                                            time.monotonic() - begun, what), flush=True)
    print("%d of %d defects caught" % (caught, len(wanted)))
    if caught < len(wanted):
        sys.exit(1)


if __name__ == "__main__":
    main()
