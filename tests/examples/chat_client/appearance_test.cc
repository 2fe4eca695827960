// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/appearance.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(AppearanceTest, TheFirstColumnsTellWhoSpeaks) {
  EXPECT_EQ(Dress("[lobby] alice: hi", "bob", {}), "  [lobby] alice: hi");
  EXPECT_EQ(Dress("[lobby] bob: hi", "bob", {}), "> [lobby] bob: hi");
  EXPECT_EQ(Dress("* bob joined", "bob", {}), "* bob joined");
  EXPECT_EQ(Dress("! name taken", "bob", {}), "! name taken");
}

TEST(AppearanceTest, NobodyCanPassForMe) {
  EXPECT_EQ(Dress("[lobby] bobby: hi", "bob", {}), "  [lobby] bobby: hi");
  EXPECT_EQ(Dress("[lobby] alice: [lobby] bob: hi", "bob", {}), "  [lobby] alice: [lobby] bob: hi");
  EXPECT_EQ(Dress("[lobby] : hi", "", {}), "  [lobby] : hi");
  EXPECT_EQ(Dress("[lobby", "bob", {}), "  [lobby");
  EXPECT_EQ(Dress("", "bob", {}), "  ");
}

TEST(AppearanceTest, NothingInALineCommandsTheTerminal) {
  EXPECT_EQ(Dress("* \033]0;owned\a", "bob", {}), "* ^[]0;owned^G");
  EXPECT_EQ(Dress("[lobby] bob: \u009B31m\xFF", "bob", {.colours = true}),
            "\033[1m> [lobby] bob: \\u009B31m\\xFF\033[0m");
}

TEST(AppearanceTest, ColoursSetApartWhatIsNotSaidByOthers) {
  const Appearance colours = {.colours = true};
  EXPECT_EQ(Dress("[lobby] alice: hi", "bob", colours), "  [lobby] alice: hi");
  EXPECT_NE(Dress("* hi", "bob", colours), "* hi");
  EXPECT_NE(Dress("* hi", "bob", colours).substr(0, 6), Dress("! hi", "bob", colours).substr(0, 6));
}

class SurroundingsTest : public ::testing::Test {
 protected:
  SurroundingsTest() {
    int master, slave;
    EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    master_.Reset(master);
    terminal_.Reset(slave);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
  }
  UniqueFd master_, terminal_, file_{open("/dev/null", O_RDWR | O_CLOEXEC)};
};

TEST_F(SurroundingsTest, EditingNeedsATerminalAtBothEnds) {
  EXPECT_TRUE(SurroundingsOf(terminal_.get(), terminal_.get()).edits);
  EXPECT_FALSE(SurroundingsOf(file_.get(), terminal_.get()).edits);
  EXPECT_FALSE(SurroundingsOf(terminal_.get(), file_.get()).edits);
  EXPECT_TRUE(SurroundingsOf(file_.get(), terminal_.get()).on_terminal);
  EXPECT_FALSE(SurroundingsOf(terminal_.get(), file_.get()).on_terminal);
}

TEST_F(SurroundingsTest, ADumbTerminalGetsNoSequences) {
  for (const char* term : {"dumb", ""}) {
    setenv("TERM", term, 1);
    const Surroundings surroundings = SurroundingsOf(terminal_.get(), terminal_.get());
    EXPECT_FALSE(surroundings.edits);
    EXPECT_FALSE(surroundings.appearance.colours);
    EXPECT_TRUE(surroundings.on_terminal);
  }
}

TEST_F(SurroundingsTest, ColoursAreForTerminalsAndWhoeverWantsThem) {
  const auto colours = [this](const UniqueFd& out) {
    return SurroundingsOf(terminal_.get(), out.get()).appearance.colours;
  };
  EXPECT_TRUE(colours(terminal_));
  EXPECT_FALSE(colours(file_));
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(colours(terminal_)) << "set, but empty";
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(colours(terminal_));
}

}  // namespace
}  // namespace millrace
