// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/screen.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "examples/chat/terminal/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/chat_client/terminal_model.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A screen on a packet of one write each: a pipe in packet mode keeps writes apart.
class ScreenTest : public ::testing::Test {
 protected:
  ScreenTest() {
    UseUtf8Locale();
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_DIRECT | O_CLOEXEC | O_NONBLOCK), 0);
    read_.Reset(fds[0]);
    write_.Reset(fds[1]);
  }

  // What the next write brought, which goes to the terminal as well.
  std::string NextWrite() {
    char bytes[4096];
    const ssize_t n = read(read_.get(), bytes, sizeof(bytes));
    const std::string written(bytes, n > 0 ? static_cast<size_t>(n) : 0);
    terminal_.Write(written);
    return written;
  }

  UniqueFd read_, write_;
  TerminalModel terminal_{80};  // Its width is unknown to a pipe, and so 80.
};

TEST_F(ScreenTest, PrintsAboveTheRowInOneWrite) {
  Screen screen(write_.get(), false);
  ASSERT_TRUE(screen.Draw({.prompt = "> ", .text = "hel", .cursor = 3}).ok());
  NextWrite();
  EXPECT_THAT(terminal_.rows(), ElementsAre("> hel"));
  ASSERT_TRUE(screen.Print("one\ntwo\n", {.prompt = "> ", .text = "hel", .cursor = 1}).ok());
  NextWrite();
  EXPECT_THAT(terminal_.rows(), ElementsAre("one", "two", "> hel"));
  EXPECT_EQ(terminal_.cursor_column(), 3u);
  EXPECT_EQ(NextWrite(), "") << "one write";
  EXPECT_THAT(terminal_.strange(), IsEmpty());
}

TEST_F(ScreenTest, ARowThatShrinksLeavesNothingBehind) {
  Screen screen(write_.get(), false);
  ASSERT_TRUE(screen.Draw({.prompt = "> ", .text = "a long text", .cursor = 11}).ok());
  ASSERT_TRUE(screen.Draw({.prompt = "> ", .text = "ab", .cursor = 2}).ok());
  NextWrite();
  NextWrite();
  EXPECT_THAT(terminal_.rows(), ElementsAre("> ab"));
}

TEST_F(ScreenTest, TheRowCanBeTakenAwayAndAllCleared) {
  Screen screen(write_.get(), false);
  ASSERT_TRUE(screen.Print("one\n", {.prompt = "> ", .text = "ab", .cursor = 2}).ok());
  ASSERT_TRUE(screen.TakeRowAway().ok());
  NextWrite();
  NextWrite();
  EXPECT_THAT(terminal_.rows(), ElementsAre("one"));
  ASSERT_TRUE(screen.ClearAndDraw({.prompt = "> ", .text = "ab", .cursor = 0}).ok());
  NextWrite();
  EXPECT_THAT(terminal_.rows(), ElementsAre("> ab"));
  EXPECT_EQ(terminal_.cursor_column(), 2u);
}

TEST_F(ScreenTest, OnlyThePromptIsColouredAndOnlyIfWanted) {
  const InputRow row = {.prompt = "> ", .text = "ab", .cursor = 2};
  ASSERT_TRUE(Screen(write_.get(), false).Draw(row).ok());
  NextWrite();
  EXPECT_THAT(terminal_.colours(), IsEmpty());
  ASSERT_TRUE(Screen(write_.get(), true).Draw(row).ok());
  EXPECT_THAT(NextWrite(), ::testing::HasSubstr("> \033[0mab"));
}

TEST_F(ScreenTest, ATerminalThatIsGoneIsAnError) {
  signal(SIGPIPE, SIG_IGN);
  read_.Reset();
  EXPECT_EQ(Screen(write_.get(), false).TakeRowAway().message(), "write: Broken pipe");
}

TEST_F(ScreenTest, AsksTheTerminalForItsWidthEachTime) {
  int master, slave;
  winsize size = {.ws_row = 24, .ws_col = 12, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, &size), 0);
  const UniqueFd close_master(master), close_slave(slave);
  const auto drawn = [&] {
    EXPECT_TRUE(Screen(slave, false).Draw({.text = "abcdefghijklmnop", .cursor = 16}).ok());
    char bytes[256];
    const ssize_t n = read(master, bytes, sizeof(bytes));
    return std::string(bytes, n > 0 ? static_cast<size_t>(n) : 0);
  };
  EXPECT_THAT(drawn(), ::testing::HasSubstr("Jfghijklmnop\r"));
  size.ws_col = 8;
  ASSERT_EQ(ioctl(master, TIOCSWINSZ, &size), 0);
  EXPECT_THAT(drawn(), ::testing::HasSubstr("Jjklmnop\r"));
}

// What is seen of a text in a terminal of ten columns, of which nine are used, with the cursor.
std::string Seen(absl::string_view text, size_t cursor, absl::string_view prompt = "> ") {
  const RowView view = ViewOf({.prompt = prompt, .text = text, .cursor = cursor}, 10);
  return absl::StrCat(view.prompt, view.text, "@", view.cursor_column);
}

TEST_F(ScreenTest, ALongTextIsSeenAroundTheCursor) {
  const std::string text = "0123456789abcdef";
  EXPECT_EQ(Seen(text, 0), "> 0123456@2");
  EXPECT_EQ(Seen(text, 3), "> 0123456@5");
  EXPECT_EQ(Seen(text, 8), "> 56789ab@5");
  EXPECT_EQ(Seen(text, 15), "> 9abcdef@8");
  EXPECT_EQ(Seen(text, 16), "> 9abcdef@9");
  EXPECT_EQ(Seen("0123456", 7), "> 0123456@9") << "it just fits";
}

TEST_F(ScreenTest, WideCharactersAreNeverCut) {
  EXPECT_EQ(Seen("日本語日本語", 0), "> 日本語@2");
  EXPECT_EQ(Seen("日本語日本語", 18), "> 日本語@8");
  EXPECT_EQ(Seen("x日本", 4), "> x日本@5");
}

TEST_F(ScreenTest, ControlCharactersInTheTextAreShown) {
  EXPECT_EQ(Seen("a\xFF", 2), "> a\\xFF@7");
  EXPECT_EQ(Seen("a\xFF\u0085", 4), "> \\u0085@8") << "what does not fit is left out whole";
}

TEST_F(ScreenTest, APromptThatTakesMoreThanHalfGivesWay) {
  EXPECT_EQ(Seen("abc", 3, "[lobby] "), "> abc@5");
  const RowView narrow = ViewOf({.prompt = "[lobby] ", .text = "abc", .cursor = 3}, 3);
  EXPECT_EQ(narrow.prompt, "");
  EXPECT_EQ(narrow.text, "bc");
  EXPECT_EQ(ViewOf({.prompt = "> ", .text = "abc", .cursor = 1}, 1).prompt, "");
}

}  // namespace
}  // namespace millrace
