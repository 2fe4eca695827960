// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/line.h"

#include <cstring>

namespace millrace {
namespace {

// The finalizer of MurmurHash3: neighbours have nothing in common.
uint64_t Word(uint64_t key, uint64_t index) {
  uint64_t word = key + index * 0x9e3779b97f4a7c15;
  word = (word ^ (word >> 33)) * 0xff51afd7ed558ccd;
  word = (word ^ (word >> 33)) * 0xc4ceb9fe1a85ec53;
  return word ^ (word >> 33);
}

}  // namespace

std::string Pattern(uint64_t key, uint64_t offset, size_t size) {
  const uint64_t first = offset / 8;
  const size_t skipped = offset % 8;
  std::string words;
  for (uint64_t i = first; words.size() < skipped + size; ++i) {
    const uint64_t word = Word(key, i);
    words.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  return words.substr(skipped, size);
}

bool IsPattern(uint64_t key, uint64_t offset, absl::string_view bytes) {
  return bytes == Pattern(key, offset, bytes.size());
}

}  // namespace millrace
