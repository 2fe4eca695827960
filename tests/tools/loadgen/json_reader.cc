// SPDX-License-Identifier: Apache-2.0
#include "tests/tools/loadgen/json_reader.h"

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
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

  // Moves all that `may_be` accepts to the end of `text`; false if that is nothing.
  bool TakeWhile(absl::FunctionRef<bool(char)> may_be, std::string& text) {
    size_t n = 0;
    while (n < rest_.size() && may_be(rest_[n])) ++n;
    text.append(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return n > 0;
  }

  bool TakeString(std::string& text) {
    text = "\"";
    if (!Take("\"")) return false;
    TakeWhile([](char c) { return c != '"' && c != '\\' && c >= ' '; }, text);
    text += '"';
    return absl::ConsumePrefix(&rest_, "\"");
  }

  // Digits with or without a sign and a fraction, and without needless zeros: 1e3 we never write.
  bool TakeNumber(std::string& text) {
    Skip();
    if (absl::ConsumePrefix(&rest_, "-")) text = "-";
    const bool starts_with_zero = absl::StartsWith(rest_, "0");
    const size_t before = text.size();
    if (!TakeWhile(absl::ascii_isdigit, text)) return false;
    if (starts_with_zero && text.size() > before + 1) return false;
    if (!absl::ConsumePrefix(&rest_, ".")) return true;
    text += '.';
    return TakeWhile(absl::ascii_isdigit, text);
  }

  bool ReadObject(const std::string& path, Values& values) {
    if (!Take("{")) return false;
    if (Take("}")) return true;
    do {
      std::string key;
      if (!TakeString(key) || !Take(":")) return false;
      key = absl::StrCat(path, path.empty() ? "" : ".", key.substr(1, key.size() - 2));
      if (!ReadValue(key, values)) return false;
    } while (Take(","));
    return Take("}");
  }

  bool ReadValue(const std::string& path, Values& values) {
    Skip();
    if (!rest_.empty() && rest_[0] == '{') return ReadObject(path, values);
    std::string value;
    const bool is_string = absl::StartsWith(rest_, "\"");
    if (absl::ConsumePrefix(&rest_, "null")) {
      value = "null";
    } else if (!(is_string ? TakeString(value) : TakeNumber(value))) {
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
