// SPDX-License-Identifier: Apache-2.0
//
// Becomes `python3 ARGUMENTS...`. With this a test in Python is a cc_test, see tools/python.bzl.

#include <unistd.h>

#include <cstdio>

int main(int, char** argv) {
  char python[] = "python3";
  argv[0] = python;
  execvp(python, argv);
  std::perror("python3");
  return 127;
}
