// SPDX-License-Identifier: Apache-2.0
//
// Any calls to Buffers, chosen by libFuzzer, do what they do to strings.

#include <cstddef>
#include <cstdint>

#include "tests/net/buffer_model.h"

namespace {

// Takes the choices from the input, one byte each where one is enough; all 0 once it is used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), end_(data + size) {}

  bool empty() const { return data_ == end_; }

  size_t Below(size_t n) {
    size_t number = 0;
    for (size_t reach = 1; reach < n && !empty(); reach <<= 8) number = number << 8 | *data_++;
    return number % n;
  }

 private:
  const uint8_t* data_;
  const uint8_t* end_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(data, size);
  millrace::BufferModel model([&](size_t n) { return choices.Below(n); });
  while (!choices.empty()) model.Step();
  return 0;
}
