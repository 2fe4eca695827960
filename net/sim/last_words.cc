// SPDX-License-Identifier: Apache-2.0
#include "net/sim/last_words.h"

#include <signal.h>
#include <unistd.h>

#include <cstddef>

#include "absl/log/check.h"

// There in programs that a sanitizer is linked to: those do not die of a signal.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace millrace {
namespace {

constexpr std::array kDeadly = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE};

LastWords* last_words = nullptr;

void Say() {
  if (last_words == nullptr) return;
  const std::string& words = last_words->words();
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, words.data(), words.size());
  last_words = nullptr;
}

void SayAndDie(int number) {
  Say();
  signal(number, SIG_DFL);
  raise(number);
}

// How many of the signals are ours: a sanitizer has its own use for the others.
size_t Ours() { return __sanitizer_set_death_callback == nullptr ? kDeadly.size() : 1; }

}  // namespace

LastWords::LastWords() {
  CHECK(last_words == nullptr) << "one at a time";
  last_words = this;
  for (size_t i = 0; i < Ours(); ++i) before_[i] = signal(kDeadly[i], SayAndDie);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(Say);
}

LastWords::~LastWords() {
  for (size_t i = 0; i < Ours(); ++i) signal(kDeadly[i], before_[i]);
  last_words = nullptr;
}

}  // namespace millrace
