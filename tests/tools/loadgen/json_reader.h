// SPDX-License-Identifier: Apache-2.0
//
// ReadJson() reads an object of numbers, strings, nulls and such objects, in the order they stand:
// what we write of RFC 8259, without escapes and exponents. Enough to check that what we write can
// be read. Test-only.
//
//   EXPECT_THAT(ReadJson("{\"a\": {\"b\": 1.5}}"), ElementsAre(Pair("a.b", "1.5")));

#ifndef MILLRACE_TESTS_TOOLS_LOADGEN_JSON_READER_H_
#define MILLRACE_TESTS_TOOLS_LOADGEN_JSON_READER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace millrace {

// Paths and values, these as they are written. Empty if `text` is not such an object.
std::vector<std::pair<std::string, std::string>> ReadJson(absl::string_view text);

}  // namespace millrace

#endif  // MILLRACE_TESTS_TOOLS_LOADGEN_JSON_READER_H_
