# SPDX-License-Identifier: Apache-2.0
"""Fuzz tests: one source, searched by libFuzzer and kept by a plain test."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")

def millrace_fuzz_test(name, srcs, deps, corpus = []):
    """Makes two programs of a source that defines LLVMFuzzerTestOneInput().

    `NAME_test` runs it over the corpus, the empty input and a thousand made up ones, with any
    compiler, beside all other tests. `NAME` is libFuzzer's and only for --config=fuzz:

        tools/bazel run --config=fuzz //tests/net:buffer_fuzzer -- -max_total_time=60 /tmp/corpus

    What it finds there and is worth keeping goes to the corpus.

    Args:
      name: of the libFuzzer program.
      srcs: with LLVMFuzzerTestOneInput().
      deps: of srcs.
      corpus: files, each an input.
    """
    cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
    )
    cc_test(
        name = name + "_test",
        size = "small",
        srcs = srcs + ["//tools:run_corpus.cc"],
        args = ["$(rootpath %s)" % input for input in corpus],
        data = corpus,
        deps = deps + ["@com_google_googletest//:gtest"],
    )
