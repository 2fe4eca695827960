// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/input_source.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/log/log.h"

namespace millrace {
namespace {

// Some lines; a turn's worth of them must not fill a connection's output.
constexpr size_t kBytesPerRead = 16384;

}  // namespace

InputSource::InputSource(EventLoop& loop, int fd, OnInput on_input)
    : loop_(loop), fd_(fd), on_input_(std::move(on_input)), next_read_(loop.timers(), [this] {
        AssertOnLoop();
        ReadOnce();
      }) {}

absl::Status InputSource::Start() {
  absl::StatusOr<Registration> watch = loop_.Watch(fd_, Io::kRead, *this);
  if (watch.ok()) {
    watch_ = *std::move(watch);
  } else if (absl::IsPermissionDenied(watch.status())) {
    always_ready_ = true;
  } else {
    return watch.status();
  }
  Update();
  return absl::OkStatus();
}

void InputSource::SetReading(bool reading) {
  if (reading_ == reading) return;
  reading_ = reading;
  Update();
}

void InputSource::Update() {
  const bool wants = reading_ && !ended_;
  if (always_ready_) return wants ? next_read_.Arm(absl::ZeroDuration()) : next_read_.Cancel();
  if (!watch_.active()) return;
  const absl::Status status = watch_.SetInterest(wants ? Io::kRead : Io::kNone);
  if (!status.ok()) LOG(ERROR) << "stdin: " << status;
}

void InputSource::ReadOnce() {
  if (!reading_ || ended_) return;
  char bytes[kBytesPerRead];
  const ssize_t n = read(fd_, bytes, sizeof(bytes));
  // Somebody else was faster, or it is non-blocking after all.
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return Update();
  ended_ = n <= 0;
  const absl::Status status = n < 0 ? absl::ErrnoToStatus(errno, "stdin") : absl::OkStatus();
  Update();
  if (!status.ok()) return on_input_(status);
  on_input_(absl::string_view(bytes, static_cast<size_t>(n)));
}

}  // namespace millrace
