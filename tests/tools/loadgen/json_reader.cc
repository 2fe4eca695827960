// SPDX-License-Identifier: Apache-2.0
#include "tests/tools/loadgen/json_reader.h"

#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace millrace {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

class Reader {
 public:
  explicit Reader(absl::string_view text) : rest_(text) {}

  bool Read(Values& values) { return ReadObject("", values) && (Skip(), rest_.empty()); }

 private:
  void Skip() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  bool Take(absl::string_view mark) {
    Skip();
    return absl::ConsumePrefix(&rest_, mark);
  }

  bool Take(const char* pattern, std::string& text) {
    Skip();
    const std::regex expression(pattern);
    std::cmatch match;
    const bool found = std::regex_search(rest_.data(), rest_.data() + rest_.size(), match,
                                         expression, std::regex_constants::match_continuous);
    if (!found) return false;
    text = match.str();
    rest_.remove_prefix(text.size());
    return true;
  }

  bool ReadObject(const std::string& path, Values& values) {
    if (!Take("{")) return false;
    if (Take("}")) return true;
    do {
      std::string key;
      if (!Take("\"[a-z0-9_]+\"", key) || !Take(":")) return false;
      key = absl::StrCat(path, path.empty() ? "" : ".", key.substr(1, key.size() - 2));
      if (!ReadValue(key, values)) return false;
    } while (Take(","));
    return Take("}");
  }

  bool ReadValue(const std::string& path, Values& values) {
    Skip();
    if (!rest_.empty() && rest_[0] == '{') return ReadObject(path, values);
    std::string value;
    if (!Take("\"[^\"\\\\]*\"", value) &&
        !Take("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?", value)) {
      return false;
    }
    values.emplace_back(path, value);
    return true;
  }

  absl::string_view rest_;
};

}  // namespace

Values ReadJson(absl::string_view text) {
  Values values;
  return Reader(text).Read(values) ? values : Values();
}

}  // namespace millrace
