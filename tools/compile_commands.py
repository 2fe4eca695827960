#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes compile_commands.json, which clangd and clang-tidy read.

    tools/compile_commands.py [TARGET...]

TARGETS are those of `bazel query`, by default //... . Build them first: the commands name files
below Bazel's folder of outputs.
"""

import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Clang does not know these, or would complain of them.
GCC_ONLY = (
    "-D__DATE__",
    "-D__TIME",
    "-fno-canonical-system-headers",
    "-Wno-builtin-macro-redefined",
    "-Wno-free-nonheap-object",
    "-Wunused-but-set-parameter",
)


def bazel(*args):
    command = [os.path.join(ROOT, "tools/bazel"), *args]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def command_of(action, execution_root):
    """What compile_commands.json says of one source.

    Bazel compiles in a folder of links to our files. Here they are named at home, where an editor
    opens them and clang-tidy finds its settings; only what is not ours lies there.
    """
    elsewhere = re.compile("^(-I)?(external|bazel-out)/")
    arguments = [elsewhere.sub(r"\g<1>%s/\2/" % execution_root, argument)
                 for argument in action["arguments"] if not argument.startswith(GCC_ONLY)]
    for at, argument in enumerate(arguments):
        if argument == "-iquote" and arguments[at + 1].startswith(execution_root):
            arguments[at] = "-isystem"  # So that clang-tidy leaves other people's headers alone.
    source = arguments[arguments.index("-c") + 1]
    return {"directory": ROOT, "file": os.path.join(ROOT, source), "arguments": arguments}


def main():
    if any(argument in ("-h", "--help") for argument in sys.argv[1:]):
        print(__doc__.strip())
        return
    targets = " + ".join(sys.argv[1:] or ["//..."])
    query = 'mnemonic("CppCompile", %s)' % targets
    actions = json.loads(bazel("aquery", "--output=jsonproto", query))["actions"]
    execution_root = bazel("info", "execution_root").strip()
    commands = {}
    for action in actions:
        command = command_of(action, execution_root)
        commands.setdefault(command["file"], command)
    path = os.path.join(ROOT, "compile_commands.json")
    with open(path, "w") as out:
        json.dump(list(commands.values()), out, indent=1)
    print("%s: %d sources" % (path, len(commands)), file=sys.stderr)


if __name__ == "__main__":
    main()
