// SPDX-License-Identifier: Apache-2.0
//
// LastWords are said on stderr if the process dies of a CHECK, a signal or a sanitizer's finding:
// which seed it was, and how to see it again. One at a time in a process; for the thread that runs
// the simulations.
//
//   LastWords words;
//   for (uint64_t seed = 1; seed <= count; ++seed) {
//     words.Set(absl::StrCat("seed ", seed, " killed the process\n"));
//     ...
//   }

#ifndef MILLRACE_NET_SIM_LAST_WORDS_H_
#define MILLRACE_NET_SIM_LAST_WORDS_H_

#include <array>
#include <string>
#include <utility>

namespace millrace {

class LastWords {
 public:
  LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;
  ~LastWords();

  // Written down beforehand: when the process dies it is too late for allocating.
  void Set(std::string words) { words_ = std::move(words); }
  const std::string& words() const { return words_; }

 private:
  using Handler = void (*)(int);

  std::string words_;
  std::array<Handler, 4> before_ = {};
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_LAST_WORDS_H_
