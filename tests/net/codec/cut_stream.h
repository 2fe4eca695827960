// SPDX-License-Identifier: Apache-2.0
//
// CutStream feeds a codec with a stream in pieces, as a FramedHandler would, and writes down what
// it decodes. It ends the process if the codec breaks its contract: a message takes no bytes or
// more than there are, or is a view of something else; an error turns into another one. The test
// owns it; one thread.
//
//   CutStream stream(LineCodec{});
//   stream.Take("hel");
//   stream.Take("lo\nwor");
//   // stream.messages is {"hello"}, stream.rest "wor", and stream.status is OK.

#ifndef MILLRACE_TESTS_NET_CODEC_CUT_STREAM_H_
#define MILLRACE_TESTS_NET_CODEC_CUT_STREAM_H_

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/codec/codec.h"

namespace millrace {

// What a stream was decoded to.
struct Decodings {
  std::vector<std::string> messages;
  std::string rest;  // What was not consumed.
  absl::Status status;

  bool operator==(const Decodings&) const = default;
};

template <Codec C>
class CutStream : public Decodings {
 public:
  explicit CutStream(C codec) : codec_(std::move(codec)) {}

  // Nothing is taken after an error, as there.
  void Take(absl::string_view piece) {
    if (!status.ok()) return;
    rest.append(piece.data(), piece.size());
    while (!rest.empty() && DecodeOne()) {
    }
  }

 private:
  bool DecodeOne() {
    // In memory of just its size, so that AddressSanitizer guards its ends.
    const std::unique_ptr<char[]> copy(new char[rest.size()]);
    std::memcpy(copy.get(), rest.data(), rest.size());
    const absl::string_view input(copy.get(), rest.size());
    const DecodeResult<absl::string_view> decoded = codec_.Decode(input);
    status = decoded.status();
    if (!decoded.ok()) CHECK_EQ(codec_.Decode(input).status(), status) << "another error";
    if (!decoded.ok() || !decoded->has_value()) return false;
    const auto& [message, bytes] = **decoded;
    CHECK(bytes > 0 && bytes <= input.size()) << bytes << " of " << input.size();
    const std::less_equal<const char*> not_after;
    CHECK(not_after(input.data(), message.data())) << "a view of something else";
    CHECK(not_after(message.data() + message.size(), input.data() + bytes)) << "beyond its frame";
    messages.emplace_back(message);
    rest.erase(0, bytes);
    return true;
  }

  C codec_;
};

// What one message is encoded to, or the error, after which nothing must have been written.
template <Codec C>
absl::StatusOr<std::string> Encoded(const C& codec, absl::string_view message) {
  std::string bytes;
  const absl::Status status =
      C(codec).Encode(message, [&](absl::string_view part) { absl::StrAppend(&bytes, part); });
  if (status.ok()) return bytes;
  CHECK(bytes.empty()) << "an error, and " << bytes.size() << " bytes all the same";
  return status;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_NET_CODEC_CUT_STREAM_H_
