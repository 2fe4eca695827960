#!/usr/bin/env python3
"""In the place of Bazel's own coverage tools: brings what gcov counted into the format of lcov.

Bazel runs it twice. After each test, --coverage_dir names a folder with gcov's counts (*.gcda), which
become that test's report; at the end --reports_file lists those reports, which become one.
"""

import argparse
import collections
import glob
import json
import os
import re
import subprocess


def read_gcov(folder, skip):
    """Yields (source, line, count) of each line of each source that matches none of `skip`.

    Bazel has called gcov before, but piled its reports up by their base names: of two sources that
    are called the same in different folders it kept one.
    """
    gcov = os.path.join(folder, "gcov")
    for counts in glob.glob(folder + "/**/*.gcda", recursive=True):
        if not os.path.exists(counts[:-len("gcda")] + "gcno"):
            continue  # Not to be reported, says the instrumentation filter.
        done = subprocess.run([gcov, "--json-format", "--stdout", counts], check=True,
                              stdout=subprocess.PIPE)
        for source in json.loads(done.stdout)["files"]:
            if not any(re.fullmatch(pattern, source["file"]) for pattern in skip):
                for line in source["lines"]:
                    yield source["file"], line["line_number"], line["count"]


def read_lcov(paths):
    """Yields (source, line, count) of each line in the reports at `paths`."""
    for path in paths:
        with open(path) as report:
            for line in report:
                if line.startswith("SF:"):
                    source = line[3:].strip()
                elif line.startswith("DA:"):
                    number, count = line[3:].split(",")
                    yield source, int(number), int(count)


def write_lcov(path, counts):
    with open(path, "w") as out:
        for source in sorted(counts):
            lines = sorted(counts[source].items())
            out.write("SF:%s\n" % source)
            out.writelines("DA:%d,%d\n" % line for line in lines)
            out.write("LH:%d\n" % sum(count > 0 for _, count in lines))
            out.write("LF:%d\nend_of_record\n" % len(lines))


def main():
    parser = argparse.ArgumentParser()
    for name in ["--coverage_dir", "--reports_file", "--output_file"]:
        parser.add_argument(name)
    parser.add_argument("--filter_sources", action="append", default=[])
    args, _ = parser.parse_known_args()
    if args.coverage_dir:
        lines = read_gcov(args.coverage_dir, args.filter_sources)
    else:
        with open(args.reports_file) as file:
            lines = read_lcov(file.read().split())
    counts = collections.defaultdict(collections.Counter)
    for source, line, count in lines:
        counts[source][line] += count
    write_lcov(args.output_file, counts)


if __name__ == "__main__":
    main()
