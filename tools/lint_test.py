# SPDX-License-Identifier: Apache-2.0
"""What tools/lint.py objects to, and what it lets pass."""

import contextlib
import io
import os
import tempfile
import unittest

from tools import lint

SPDX = lint.SPDX + "\n"


def header(path, body="", story="// One.\n// Two.\n// Three.\n"):
    guard = "MILLRACE_%s_H_" % path[:-2].replace("/", "_").upper()
    return "%s%s#ifndef %s\n#define %s\n%s\n#endif  // %s\n" % (SPDX, story, guard, guard, body, guard)


def function(lines, signature="void Long()"):
    return "%s {\n%s}\n" % (signature, "  Work();\n" * (lines - 2))


class LintTest(unittest.TestCase):
    """Each test writes the files of a small tree and names the breaches, as (path, line, rule)."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def breaches(self, path, text):
        self.write(path, text)
        return [(line, rule) for _, line, rule, _ in lint.check(self.root, path)]

    def run_main(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                code = lint.main(["--root", self.root, *arguments])
            except SystemExit as leaving:
                code = leaving.code
        return code, out.getvalue()


class LayersTest(LintTest):

    def test_base_may_not_look_up_at_net(self):
        text = header("base/clock.h", '#include "net/socket.h"')
        self.assertEqual(self.breaches("base/clock.h", text), [(7, "layers")])

    def test_a_layer_may_look_at_itself_and_down(self):
        includes = '#include "net/connection_table.h"\n#include "base/clock.h"\n#include <vector>\n'
        text = header("net/tcp_connection.h", includes + '#include "absl/time/time.h"')
        self.assertEqual(self.breaches("net/tcp_connection.h", text), [])

    def test_the_core_does_not_know_the_optional_packages(self):
        self.write("tests/net/tcp_server_test.cc", SPDX)
        text = SPDX + '#include "net/tls/tls_transport.h"\n'
        self.assertEqual(self.breaches("net/tcp_server.cc", text), [(2, "layers")])

    def test_an_optional_package_knows_the_core_and_others(self):
        includes = '#include "net/tcp_server.h"\n#include "net/codec/lines.h"\n'
        text = header("net/http/server.h", includes)
        self.assertEqual(self.breaches("net/http/server.h", text), [])

    def test_a_test_may_include_anything_but_nothing_includes_a_test(self):
        includes = '#include "tests/support/fake_clock.h"\n'
        text = SPDX + '#include "examples/chat/room.h"\n' + includes
        self.assertEqual(self.breaches("tests/examples/room_test.cc", text), [])
        self.assertEqual(self.breaches("tools/loadgen/main.cc", SPDX + includes), [(2, "layers")])

    def test_a_new_file_of_the_core_has_to_find_its_place(self):
        self.assertEqual(self.breaches("net/odd.h", header("net/odd.h")), [(1, "layers")])

    def test_buffer_keeps_to_less_than_its_layer(self):
        self.write("tests/net/buffer_test.cc", SPDX)
        text = SPDX + '#include "net/buffer.h"\n#include "net/block_pool.h"\n#include "net/socket.h"\n'
        self.assertEqual(self.breaches("net/buffer.cc", text), [(4, "layers")])

    def test_a_path_begins_at_the_root(self):
        text = SPDX + '#include "room.h"\n#include "../base/clock.h"\n'
        self.assertEqual(self.breaches("examples/chat/main.cc", text), [(2, "layers"), (3, "layers")])


class LengthTest(LintTest):

    def test_sixty_lines_are_a_function_and_sixty_one_are_too_many(self):
        self.assertEqual(self.breaches("tools/a.cc", SPDX + function(60)), [])
        self.assertEqual(self.breaches("tools/a.cc", SPDX + function(61)), [(2, "length")])

    def test_functions_are_found_in_classes_and_with_initializers(self):
        for signature in ["class A {\n public:\n  A(int a) : a_{a}, b_(a)", "A::A() : a_{}",
                          "namespace {\ntemplate <typename T>\nstd::vector<T> F(T a = {}) requires C<T>",
                          "enum class E { kA };\nint F() const&", "TEST_F(Fixture, Name)",
                          "bool operator==(A a, A b)", "constexpr int kA[] = {1, 2};\nvoid F()"]:
            with self.subTest(signature):
                found = self.breaches("tools/a.cc", SPDX + function(70, signature))
                self.assertEqual([rule for _, rule in found], ["length"])

    def test_long_classes_namespaces_and_tables_are_no_functions(self):
        for opening in ["class A : public B<decltype(F())> {", "namespace a {", 'extern "C" {',
                        "const int kTable[Size()] = {", "enum class E : int {"]:
            with self.subTest(opening):
                text = SPDX + opening + "\n" + "\n" * 100 + "};\n"
                self.assertEqual(self.breaches("tools/a.cc", text), [])

    def test_braces_in_comments_literals_and_macros_do_not_count(self):
        noise = "// {\n/* { */\n#define OPEN \\\n  {\n" + r'''
            void F() { Use('{', "{\"", R"(}}{)", 1'000, '\'', '"'); }''' + "\n"
        text = SPDX + noise + function(60) + function(61)
        self.assertEqual(len(self.breaches("tools/a.cc", text)), 1)

    def test_rows_of_a_table_in_a_test_are_free(self):
        table = "void F() {\n  Row rows[] = {\n" + '    {"a", 1},\n' * 100 + "  };\n}\n"
        self.assertEqual(self.breaches("tests/a_test.cc", SPDX + table), [])
        self.assertEqual(self.breaches("tools/a.cc", SPDX + table), [(2, "length")])

    def test_python_functions_count_too(self):
        text = "def long():\n" + "    work()\n" * 60
        self.assertEqual(self.breaches("tools/a.py", text), [(1, "length")])

    def test_a_header_is_shorter_than_a_source(self):
        for path, limit in [("tools/a.h", 250), ("tools/a.cc", 500), ("tests/a_test.cc", 500)]:
            opening = header(path) if path.endswith(".h") else SPDX
            text = opening + "\n" * (limit - opening.count("\n"))
            with self.subTest(path):
                self.assertEqual(self.breaches(path, text), [])
                self.assertEqual(self.breaches(path, text + "\n"), [(limit + 1, "length")])


class BannedTest(LintTest):

    def test_shared_ptr_is_for_the_examples(self):
        text = SPDX + "// No shared_ptr here.\nstd::shared_ptr<int> a;\n"
        self.write("tests/base/a_test.cc", SPDX)
        self.assertEqual(self.breaches("base/a.cc", text), [(3, "banned")])
        self.assertEqual(self.breaches("examples/a.cc", text), [])

    def test_bind_and_using_directives(self):
        text = SPDX + "auto f = std::bind(g);\nusing namespace absl;\nusing absl::Span;\n"
        self.assertEqual(self.breaches("tests/a_test.cc", text), [(2, "banned"), (3, "banned")])

    def test_only_tests_may_not_sleep(self):
        for sleep in ["absl::SleepFor(a)", "std::this_thread::sleep_for(a)", "usleep(1)",
                      "nanosleep(&a, nullptr)", "::sleep(1)"]:
            text = SPDX + "void F() { %s; }\n" % sleep
            with self.subTest(sleep):
                self.assertEqual(self.breaches("tests/support/a.cc", text), [(2, "banned")])
                self.assertEqual(self.breaches("tools/a.cc", text), [])

    def test_python_and_shell_tests_may_not_sleep_either(self):
        self.assertEqual(self.breaches("tests/a_test.py", "import time\ntime.sleep(1)\n"), [(2, "banned")])
        self.assertEqual(self.breaches("tests/a.sh", "# sleep 1\nwhile x; do sleep 1; done\n"),
                         [(2, "banned")])
        self.assertEqual(self.breaches("tests/a.py", 'print("sleep(1)")  # sleep(1)\n'), [])

    def test_a_promise_names_its_issue(self):
        promise = "TO" + "DO"
        text = SPDX + "// %s(#12): is fine.\n/* a\n   %s: is not. */\nint a;  // %s(me)\n"
        text %= (promise, promise, promise)
        self.assertEqual(self.breaches("tools/a.cc", text), [(4, "banned"), (5, "banned")])
        self.assertEqual(self.breaches("tools/BUILD", "# %s: later\n" % promise), [(1, "banned")])
        self.assertEqual(self.breaches("tools/a.py", "a = 1  # %s later\n" % promise), [(1, "banned")])


class HeaderTest(LintTest):

    def test_a_story_stands_before_the_guard_or_after_it(self):
        before = header("tools/a.h")
        after = before.replace("// One.\n// Two.\n// Three.\n", "").replace(
            "#define MILLRACE_TOOLS_A_H_\n", "#define MILLRACE_TOOLS_A_H_\n\n// One.\n//\n// Three.\n")
        self.assertEqual(self.breaches("tools/a.h", before), [])
        self.assertEqual(self.breaches("tools/a.h", after), [])

    def test_two_lines_or_a_late_story_do_not_do(self):
        short = header("tools/a.h", story="// One.\n// Two.\n")
        late = header("tools/a.h", "#include <vector>\n// One.\n// Two.\n// Three.\n", story="")
        self.assertEqual(self.breaches("tools/a.h", short), [(1, "header")])
        self.assertEqual(self.breaches("tools/a.h", late), [(1, "header")])

    def test_the_guard_is_named_after_the_path(self):
        text = header("tools/a.h").replace("MILLRACE_TOOLS", "MILLRACE_NET")
        self.assertEqual(self.breaches("tools/a.h", text), [(1, "header")])

    def test_the_licence_comes_first(self):
        self.assertEqual(self.breaches("tools/a.cc", "\n" + SPDX), [(1, "header")])


class TestsTest(LintTest):

    def test_a_source_without_its_test(self):
        self.assertEqual(self.breaches("base/a.cc", SPDX), [(1, "tests")])
        self.write("tests/base/a_test.cc", SPDX)
        self.assertEqual(self.breaches("base/a.cc", SPDX), [])

    def test_a_contract_serves_all_that_implement_it(self):
        self.write("tests/contract/poller_contract_test.cc", SPDX)
        self.assertEqual(self.breaches("net/epoll_poller.cc", SPDX), [])
        self.assertEqual(self.breaches("net/poller.cc", SPDX), [])
        self.assertEqual(self.breaches("net/poller_named.cc", SPDX), [(1, "tests")])

    def test_a_header_is_a_source_once_it_has_code(self):
        interface = header("base/a.h", "class A {\n virtual void F() = 0;\n int a() const { return a_; }\n};")
        code = header("base/a.h", function(12))
        self.assertEqual(self.breaches("base/a.h", interface), [])
        self.assertEqual(self.breaches("base/a.h", code), [(1, "tests")])

    def test_only_base_and_net_must_be_tested(self):
        self.assertEqual(self.breaches("tools/a.cc", SPDX), [])


class MainTest(LintTest):

    def test_a_clean_tree_exits_with_0(self):
        self.write("tools/a.cc", SPDX)
        code, output = self.run_main()
        self.assertEqual((code, output), (0, "lint: 1 files, 0 breaches\n"))

    def test_breaches_exit_with_1_and_say_where(self):
        self.write("tools/a.cc", SPDX + "\nusing namespace a;\n")
        code, output = self.run_main()
        self.assertEqual(code, 1)
        self.assertRegex(output, "^tools/a.cc:3: banned: using namespace: ")

    def test_a_wrong_call_exits_with_2(self):
        self.assertEqual(self.run_main("--nonsense")[0], 2)
        self.assertEqual(self.run_main("nowhere.cc")[0], 2)

    def test_help_exits_with_0_and_explains_the_rules(self):
        code, output = self.run_main("--help")
        self.assertEqual(code, 0)
        self.assertIn("layers ", output)

    def test_only_the_named_paths_are_checked(self):
        self.write("tools/a.cc", "")
        self.write("tests/b_test.cc", SPDX)
        self.assertEqual(self.run_main("tests")[0], 0)
        self.assertEqual(self.run_main("tools/a.cc")[0], 1)

    def test_outputs_hidden_folders_and_other_files_are_not_ours(self):
        for path in ["tools/.cache/a.cc", "bazel-bin/tools/a.cc", "tools/__pycache__/a.py", "tools/a.txt"]:
            self.write(path, "\xff")
        self.assertEqual(self.run_main()[1], "lint: 0 files, 0 breaches\n")

    def test_what_cannot_be_parsed_is_a_breach(self):
        self.assertEqual(self.breaches("tools/a.py", "def (:\n"), [(1, "text")])


if __name__ == "__main__":
    unittest.main()
