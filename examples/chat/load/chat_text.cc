// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_text.h"

#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace millrace {
namespace {

constexpr absl::string_view kAlphabet =
    "abcdefghijklmnopqrstuvwxyz-0123456789.ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr size_t kPaddings = 61;  // Different ones, for messages that follow each other.

std::string Letters(size_t n) {
  std::string letters;
  while (letters.size() < n) absl::StrAppend(&letters, kAlphabet);
  return letters;
}

constexpr uint8_t kNoDigit = 0x80;

constexpr std::array<uint8_t, 256> MakeDigits() {
  std::array<uint8_t, 256> digits = {};
  for (uint8_t& digit : digits) digit = kNoDigit;
  for (uint8_t i = 0; i < 10; ++i) digits['0' + i] = i;
  for (uint8_t i = 0; i < 6; ++i) digits['a' + i] = static_cast<uint8_t>(10 + i);
  return digits;
}

constexpr std::array<uint8_t, 256> kDigits = MakeDigits();

// absl's are for numbers of any form; here are 32 digits in every line of every member.
template <int kCount>
std::optional<uint64_t> ReadHex(const char* digits) {
  uint64_t value = 0;
  uint8_t seen = 0;
  for (int i = 0; i < kCount; ++i) {
    const uint8_t digit = kDigits[static_cast<uint8_t>(digits[i])];
    seen |= digit;
    value = value << 4 | digit;
  }
  if ((seen & kNoDigit) != 0) return std::nullopt;
  return value;
}

// The number at the front of `text`, and how many digits it has; of other forms than "7" none.
struct Number {
  int64_t value = 0;
  size_t digits = 0;
};
Number ReadNumber(absl::string_view text) {
  constexpr size_t kDigitsMax = 7;
  Number number;
  for (; number.digits < text.size() && number.digits < kDigitsMax; ++number.digits) {
    const uint8_t digit = kDigits[static_cast<uint8_t>(text[number.digits])];
    if (digit > 9) break;
    number.value = number.value * 10 + digit;
  }
  if (number.digits > 1 && text[0] == '0') return {};
  return number;
}

}  // namespace

ChatText::ChatText(const ChatLoadOptions& options, const SendSchedule& schedule)
    : options_(options),
      schedule_(schedule),
      letters_(Letters(kPaddings + static_cast<size_t>(options.message_bytes))) {
  for (int room = 0; room < options.rooms; ++room) {
    openings_.push_back(absl::StrCat("[", RoomName(room), "] load"));
  }
}

absl::string_view ChatText::PaddingOf(int64_t message) const {
  return absl::string_view(letters_).substr(
      static_cast<size_t>(message) % kPaddings,
      static_cast<size_t>(options_.message_bytes - kChatTextHeaderBytes));
}

void ChatText::AppendLine(int64_t message, std::string& out) const {
  absl::StrAppend(&out, absl::Hex(options_.sender_of(message), absl::kZeroPad8),
                  absl::Hex(options_.sequence_of(message), absl::kZeroPad8),
                  absl::Hex(schedule_.due(message).nanoseconds(), absl::kZeroPad16),
                  PaddingOf(message), "\n");
}

std::optional<int64_t> ChatText::Read(absl::string_view line, int room, MonotonicTime now) const {
  if (!absl::ConsumePrefix(&line, openings_[static_cast<size_t>(room)])) return std::nullopt;
  const Number name = ReadNumber(line);
  line.remove_prefix(name.digits);
  if (name.digits == 0 || !absl::ConsumePrefix(&line, ": ")) return std::nullopt;
  if (line.size() != static_cast<size_t>(options_.message_bytes)) return std::nullopt;
  const std::optional<int64_t> message = ReadText(line, now);
  if (!message || options_.sender_of(*message) != name.value) return std::nullopt;
  if (options_.room_of(options_.sender_of(*message)) != room) return std::nullopt;
  return message;
}

std::optional<int64_t> ChatText::ReadText(absl::string_view text, MonotonicTime now) const {
  const std::optional<uint64_t> sender = ReadHex<8>(text.data());
  const std::optional<uint64_t> sequence = ReadHex<8>(text.data() + 8);
  const std::optional<uint64_t> due = ReadHex<16>(text.data() + 16);
  if (!sender || !sequence || !due) return std::nullopt;
  if (*sender >= static_cast<uint64_t>(options_.members)) return std::nullopt;
  const int64_t message =
      options_.message_of(static_cast<int>(*sender), static_cast<int64_t>(*sequence));
  if (!schedule_.IsDue(message, now)) return std::nullopt;
  if (*due != static_cast<uint64_t>(schedule_.due(message).nanoseconds())) return std::nullopt;
  if (text.substr(kChatTextHeaderBytes) != PaddingOf(message)) return std::nullopt;
  return message;
}

}  // namespace millrace
