// SPDX-License-Identifier: Apache-2.0
//
// LoadPage() writes a load report as one HTML page that needs nothing else, not even JavaScript:
// the figures of the table, throughput over time, and the latency distribution, by percentiles on
// a logarithmic axis, so that the tail is as wide as the rest. Any thread.
//
//   std::string html = LoadPage(report, "loadgen --connections=1000");

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_PAGE_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_PAGE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "tools/loadgen/load_report.h"

namespace millrace {

// `command_line` is shown as it is, whatever it contains.
std::string LoadPage(const LoadReport& report, absl::string_view command_line);

// What may be typed into a shell to run `argv` again, with the program's name without its folder.
std::string CommandLineOf(int argc, const char* const* argv);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_PAGE_H_
