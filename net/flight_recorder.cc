// SPDX-License-Identifier: Apache-2.0
#include "net/flight_recorder.h"

#include <string.h>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace millrace {
namespace {

// What it says after its name.
std::string NumberOf(FlightEvent event, uint64_t number) {
  switch (event) {
    case FlightEvent::kRead:
    case FlightEvent::kLeftUnread:
    case FlightEvent::kWrote:
    case FlightEvent::kWriteBlocked:
    case FlightEvent::kAboveHigh:
    case FlightEvent::kBelowLow:
    case FlightEvent::kWriteWaits:
    case FlightEvent::kStoppedByBudget:
      return absl::StrCat(" ", number);
    case FlightEvent::kFailed: {
      const char* name = number == 0 ? nullptr : strerrorname_np(static_cast<int>(number));
      return name == nullptr ? "" : absl::StrCat(" ", name);
    }
    default:
      return "";
  }
}

}  // namespace

absl::string_view NameOf(FlightEvent event) {
  switch (event) {
    case FlightEvent::kOpened:
      return "opened";
    case FlightEvent::kRead:
      return "read";
    case FlightEvent::kReadBlocked:
      return "nothing to read";
    case FlightEvent::kLeftUnread:
      return "handler left unread";
    case FlightEvent::kEndOfInput:
      return "end of input";
    case FlightEvent::kWrote:
      return "wrote";
    case FlightEvent::kWriteBlocked:
      return "write blocked, waiting";
    case FlightEvent::kPaused:
      return "reading paused";
    case FlightEvent::kResumed:
      return "reading resumed";
    case FlightEvent::kReadWaits:
      return "reading waits for its rate";
    case FlightEvent::kWriteWaits:
      return "writing waits for its rate, waiting";
    case FlightEvent::kStoppedByBudget:
      return "reading stopped by the memory budget, holding";
    case FlightEvent::kResumedByBudget:
      return "reading resumed by the memory budget";
    case FlightEvent::kAboveHigh:
      return "above high mark, waiting";
    case FlightEvent::kBelowLow:
      return "below low mark, waiting";
    case FlightEvent::kToldWritable:
      return "told writable";
    case FlightEvent::kTimer:
      return "timer";
    case FlightEvent::kClosing:
      return "closing";
    case FlightEvent::kEndingWrite:
      return "ending output";
    case FlightEvent::kEndSent:
      return "our end sent";
    case FlightEvent::kFailed:
      return "failed";
  }
  return "?";
}

std::string FlightRecorder::ToString(MonotonicTime now) const {
  std::string text;
  const uint64_t first = recorded_ - std::min<uint64_t>(recorded_, kFlightEventsMax);
  for (uint64_t i = first; i < recorded_; ++i) {
    const Entry& entry = ring_[i % kFlightEventsMax];
    const auto event = static_cast<FlightEvent>(entry.what & 0xff);
    absl::StrAppend(&text, absl::FormatDuration(entry.when - now), " ", NameOf(event),
                    NumberOf(event, entry.what >> 8), "\n");
  }
  return text;
}

}  // namespace millrace
