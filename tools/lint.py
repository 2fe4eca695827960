#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tree to the rules that neither compiler nor clang-format knows.

    tools/lint.py [--root FOLDER] [PATH...]

Checks PATHs (files or folders, from the root), by default the whole tree, and prints each breach as
`file:line: rule: text`. Exits with 0 if there is none, 1 if there are some, 2 on a wrong call.

Rules:
  layers     a file includes only from its own line of LAYERS and those above it
  length     functions up to 60 lines (rows of a table in a test do not count), headers up to 250,
             other files up to 500
  banned     shared_ptr in base and net; bind, using-directives, sleeping tests, promises without the
             number of an issue, as in (#12), anywhere
  tests      each source in base and net, and each header with code of its own, has a test of its
             name, or a contract: tests/contract/poller_contract_test.cc for net/poll_poller.cc
  header     the licence first, then the guard named after the path, and the story in three lines or
             more beside it
"""

import argparse
import ast
import bisect
import io
import os
import re
import sys
import tokenize

# From the bottom up. A name stands for its .h and .cc; * for any name in a folder, ** for any folder
# too. A file of net/ that no line names is an error: its author decides where it belongs.
LAYERS = [
    ["base/*"],
    ["net/limits", "net/socket_address", "net/address_prefix", "net/io_result", "net/system_calls",
     "net/socket", "net/socket_file"],
    ["net/poller", "net/epoll_poller", "net/poll_poller", "net/select_poller", "net/poller_named",
     "net/io_handler", "net/turn_position", "net/wakeup", "net/timer_wheel", "net/loop_pulse",
     "net/mailbox", "net/busy_poll"],
    ["net/event_loop", "net/loop_ref", "net/signal_watcher", "net/stall_probe",
     "net/stall_watchdog"],
    ["net/event_loop_thread_pool"],
    ["net/transport", "net/plain_transport", "net/close_reason", "net/flight_recorder"],
    ["net/block_pool", "net/buffer", "net/output_queue", "net/rate_limit",
     "net/memory_budget", "net/budget_share"],
    ["net/connection_handler", "net/connection_limits", "net/connection_handle",
     "net/connection_owner", "net/connection_table", "net/connection_condition",
     "net/connection_extras", "net/progress_limits", "net/pending_message",
     "net/tcp_connection", "net/tcp_connection_message", "net/tcp_connection_report",
     "net/tcp_connection_close", "net/tcp_connection_timeout", "net/tcp_connection_overload",
     "net/function_handler"],
    ["net/places", "net/peer_counts", "net/admission", "net/acceptor", "net/acceptor_group",
     "net/connector", "net/backoff", "net/broadcast_group"],
    ["net/drain", "net/server_shard", "net/tcp_server", "net/server_report", "net/tcp_client"],
    ["net/*/**"],
    ["examples/**", "tools/**"],
    ["benchmarks/**", "tests/**"],
]

# These could include more by their place above, and need not.
NARROWER = {
    "net/block_pool": ["base/*", "net/limits"],
    "net/buffer": ["base/*", "net/limits", "net/block_pool"],
}

FOLDERS = ["base", "benchmarks", "examples", "net", "tests", "tools"]
FUNCTION_LINES_MAX = 60
HEADER_LINES_MAX = 250
FILE_LINES_MAX = 500
STORY_LINES_MIN = 3
UNTESTED_LINES_MAX = 9  # of the functions in a header: an interface, or a few wrappers
SPDX = "// SPDX-License-Identifier: Apache-2.0"

SLEEP = re.compile(r"\b(?:Sleep(?:For|Until)|sleep_(?:for|until)|usleep|nanosleep|sleep)\s*\(")
SHELL_SLEEP = re.compile(r"(?:^|[;&|]|\bdo\b|\bthen\b)\s*sleep\s", re.MULTILINE)
PROMISE = re.compile(r"\b(?:TODO|FIXME)\b(?!\(#\d+\))")
BANNED = [  # pattern, folders, what to do instead
    (re.compile(r"\bshared_ptr\b|\bmake_shared\b"), ("base", "net"),
     "shared_ptr: one owner holds a unique_ptr, others a reference or a handle"),
    (re.compile(r"\bstd\s*::\s*bind\b"), FOLDERS, "std::bind: a lambda says what it captures"),
    (re.compile(r"\busing\s+namespace\b"), FOLDERS, "using namespace: name what is used"),
]


class Source:
    """One file: its text, the same without comments and literals, and its comments by line."""

    def __init__(self, root, path):
        self.path = path
        self.folder = path.split("/")[0]
        self.stem, self.extension = os.path.splitext(path)
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.text = file.read()
        self.lines = self.text.splitlines()
        self.is_header = self.extension == ".h"
        self.is_cpp = self.extension in (".h", ".cc")
        self.is_python = self.extension == ".py"
        self.is_test = self.folder == "tests" or self.stem.endswith("_test")
        if self.is_cpp:
            self.code, self.comments = split_cpp(self.text)
        elif self.is_python:
            self.code, self.comments = split_python(self.text)
        else:
            self.code, self.comments = split_hash(self.text)


# --- Reading -------------------------------------------------------------------------------------

CPP_APART = re.compile(
    r"""//[^\n]*|/\*.*?\*/"""  # comments
    r'''|R"([^()\\\s]*)\(.*?\)\1"'''  # raw strings
    r'''|"(?:\\.|[^"\\\n])*"'''
    r"""|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'""",  # not the ' in 10'000
    re.DOTALL)


def blank(text):
    """As many lines, and nothing on them."""
    return re.sub(r"[^\n]", " ", text)


def line_at(text, position):
    return text.count("\n", 0, position) + 1


def split_cpp(text):
    comments = []

    def take_apart(match):
        if match.group().startswith("/"):
            first = line_at(text, match.start())
            comments.extend(enumerate(match.group().split("\n"), first))
        return blank(match.group())

    return CPP_APART.sub(take_apart, text), comments


def split_python(text):
    comments = []
    rows = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.STRING):
            continue
        if token.type == tokenize.COMMENT:
            comments.append((token.start[0], token.string))
        for row in range(token.start[0], token.end[0] + 1):
            line = rows[row - 1]
            begin = token.start[1] if row == token.start[0] else 0
            end = token.end[1] if row == token.end[0] else len(line)
            rows[row - 1] = line[:begin] + blank(line[begin:end]) + line[end:]
    return "".join(rows), comments


def split_hash(text):
    """Of shell, BUILD and .bzl files: whole-line comments are enough."""
    comments = [(number, line) for number, line in enumerate(text.split("\n"), 1)
                if line.lstrip().startswith("#")]
    return re.sub(r"(?m)^\s*#.*$", "", text), comments


def is_checked(path):
    name = os.path.basename(path)
    return name == "BUILD" or os.path.splitext(name)[1] in (".bzl", ".cc", ".h", ".py", ".sh")


def files_below(root, folder):
    for where, folders, names in os.walk(os.path.join(root, folder)):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for name in sorted(names):
            path = os.path.relpath(os.path.join(where, name), root)
            if is_checked(path):
                yield path


# --- Rules: each takes a Source and yields (line, text) ---------------------------------------------

def matches(stem, pattern):
    expression = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.fullmatch(expression, stem) is not None


def layer_of(stem):
    for number, patterns in enumerate(LAYERS):
        if any(matches(stem, pattern) for pattern in patterns):
            return number
    return None


def check_layers(source):
    if not source.is_cpp:
        return
    own = layer_of(source.stem)
    if own is None:
        yield 1, "no line of LAYERS in tools/lint.py names %s" % source.stem
        return
    for number, line in enumerate(source.lines, 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not match:
            continue
        included = match.group(1)
        if "/" not in included or included.startswith("."):
            yield number, 'write "%s" with its path from the root' % included
        elif included.split("/")[0] in FOLDERS:
            problem = breach(source.stem, own, os.path.splitext(included)[0])
            if problem:
                yield number, problem


def breach(stem, own, included):
    """What is wrong with `stem`, of layer `own`, including `included`, or None."""
    layer = layer_of(included)
    if layer is None:
        return "no line of LAYERS in tools/lint.py names %s" % included
    if layer > own:
        return "%s lies below %s and must not include it" % (stem, included)
    narrower = NARROWER.get(stem)
    if narrower and included != stem and not any(matches(included, each) for each in narrower):
        return "%s keeps to %s, without %s" % (stem, ", ".join(narrower), included)
    return None


SCOPE = re.compile(r"\s*(?:template\s*<.*>\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum"
                   r"|extern)\b", re.DOTALL)


def cpp_functions(code):
    """Yields (first line, last line) of each function in C++ without comments and literals.

    Lambdas and local classes belong to the function around them. It knows no grammar: an opening
    brace after a closed pair of parentheses, where a declaration may stand, begins a function.
    """
    code = re.sub(r"(?m)^[ \t]*#(?:.*\\\n)*.*$", lambda match: blank(match.group()), code)
    newlines = [match.start() for match in re.finditer("\n", code)]
    start, parens, depth, body = 0, 0, 0, None
    for match in re.finditer(r"[(){};]", code):
        mark, at = match.group(), match.start()
        if mark in "()":
            parens += 1 if mark == "(" else -1
        elif body is not None or parens > 0:  # Only the end of the function matters, or of the argument.
            depth += {"{": 1, "}": -1, ";": 0}[mark]
            if body is not None and depth == 0:
                yield bisect.bisect_left(newlines, body) + 1, bisect.bisect_left(newlines, at) + 1
                # What follows a member's initializer in braces is still the same constructor.
                start = body if re.match(r"\s*[,{]", code[at + 1:at + 200]) else at + 1
                body = None
        else:
            header = code[start:at]
            if mark == "{" and is_function(header):
                lead = re.match(r"\s*(?:(?:public|protected|private)\s*:\s*)?", header)
                body, depth = start + lead.end(), 1
            elif mark == "{" and not SCOPE.match(header):
                body, depth = None, 0  # An initializer; its braces are skipped one by one.
            start = start if body is not None else at + 1


def is_function(header):
    return "(" in header and not SCOPE.match(header) and not header.rstrip().endswith("=")


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def check_length(source):
    limit = HEADER_LINES_MAX if source.is_header else FILE_LINES_MAX
    if len(source.lines) > limit and source.path.split("/")[-1] != "BUILD":
        yield limit + 1, "%d lines, and at most %d are read with pleasure" % (len(source.lines), limit)
    functions = []
    if source.is_cpp:
        functions = cpp_functions(source.code)
    elif source.is_python:
        functions = python_functions(source.text)
    for first, last in functions:
        lines = source.lines[first - 1:last]
        if source.is_test:
            lines = [line for line in lines if not re.match(r'\s*[{"(]', line)]
        if len(lines) > FUNCTION_LINES_MAX:
            yield first, "a function of %d lines; at most %d" % (len(lines), FUNCTION_LINES_MAX)


def check_banned(source):
    if source.is_cpp:
        for pattern, folders, advice in BANNED:
            if source.folder in folders:
                for match in pattern.finditer(source.code):
                    yield line_at(source.code, match.start()), advice
    if source.is_test:
        sleep = SHELL_SLEEP if source.extension == ".sh" else SLEEP
        for match in sleep.finditer(source.code):
            yield (line_at(source.code, match.end()),
                   "a test that sleeps is slow or flaky: wait for what is to happen, or set a fake clock")
    for number, comment in source.comments:
        match = PROMISE.search(comment)
        if match:
            yield number, "%s without the number of its issue, as in (#12)" % match.group()


def check_header(source):
    if source.is_cpp and source.lines[:1] != [SPDX]:
        yield 1, "the first line is to be: %s" % SPDX
    if not source.is_header:
        return
    guard = "MILLRACE_%s_H_" % re.sub(r"\W", "_", source.stem).upper()
    if "#ifndef %s\n#define %s\n" % (guard, guard) not in source.text:
        yield 1, "the include guard is to be %s" % guard
    story = 0
    for line in source.lines[1:]:
        if line.startswith("//"):
            story += 1
        elif line.strip() and not re.match(r"#(ifndef|define) %s\b" % guard, line):
            break
    if story < STORY_LINES_MIN:
        yield 1, ("tell what this is, who owns it, which thread may touch it and an example, beside the "
                  "include guard: %d lines of comment, at least %d" % (story, STORY_LINES_MIN))


def check_tests(source, root):
    if not source.is_cpp or source.folder not in ("base", "net"):
        return
    if source.is_header:
        lines = sum(last - first + 1 for first, last in cpp_functions(source.code) if last > first)
        if lines <= UNTESTED_LINES_MAX or os.path.exists(os.path.join(root, source.stem + ".cc")):
            return
    test = "tests/%s_test.cc" % source.stem
    if not any(os.path.exists(os.path.join(root, path)) for path in [test, *contracts(source.stem)]):
        yield 1, "there is no %s, nor a contract that its name ends with" % test


def contracts(stem):
    """Where the contract of the seam that `stem` implements could lie: of any ending of its name."""
    words = os.path.basename(stem).split("_")
    for first in range(len(words)):
        yield "tests/contract/%s_contract_test.cc" % "_".join(words[first:])


def check(root, path):
    """Yields each breach in the file at `path` below `root`, as (path, line, rule, text)."""
    try:
        source = Source(root, path)
    except (UnicodeDecodeError, SyntaxError, tokenize.TokenError) as error:
        yield path, 1, "text", "cannot be read: %s" % error
        return
    rules = [("layers", check_layers(source)), ("length", check_length(source)),
             ("banned", check_banned(source)), ("header", check_header(source)),
             ("tests", check_tests(source, root))]
    for rule, problems in rules:
        for line, text in problems:
            yield path, line, rule, text


# --- Calling -------------------------------------------------------------------------------------

def paths_of(root, arguments):
    """The files that the arguments name; raises ValueError for one that names nothing."""
    paths = []
    for argument in arguments or FOLDERS:
        full = os.path.join(root, argument)
        if os.path.isdir(full):
            paths.extend(files_below(root, argument))
        elif os.path.isfile(full):
            paths.append(os.path.relpath(full, root))
        elif arguments:
            raise ValueError("no such file or folder: %s" % argument)
    return sorted(path for path in set(paths) if not path.startswith("tools/bazel4/"))


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/lint.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--root FOLDER] [PATH...]")
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    parser.add_argument("--root", default=home, help="the tree; by default the one this file lies in")
    parser.add_argument("paths", nargs="*", metavar="PATH")
    args = parser.parse_args(arguments)
    if not os.path.isdir(args.root):
        parser.error("no such folder: %s" % args.root)
    try:
        paths = paths_of(args.root, args.paths)
    except ValueError as error:
        parser.error(str(error))
    breaches = [each for path in paths for each in check(args.root, path)]
    for path, line, rule, text in sorted(breaches):
        print("%s:%d: %s: %s" % (path, line, rule, text))
    print("lint: %d files, %d breaches" % (len(paths), len(breaches)), file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
