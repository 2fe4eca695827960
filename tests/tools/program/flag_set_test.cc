// SPDX-License-Identifier: Apache-2.0
#include "tools/program/flag_set.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class FlagSetTest : public testing::Test {
 protected:
  FlagSetTest() {
    flags_.AddInt("threads", threads_, 0, 64, "worker loops");
    flags_.AddSwitch("quiet", quiet_, "says less");
    flags_.AddDuration("timeout", timeout_, absl::Milliseconds(1), "how long it takes",
                       absl::Hours(1));
    flags_.AddText("json", "FILE", json_, "where the figures go");
    flags_.AddAddresses("listen", listen_, "where");
    flags_.AddPoller("poller", poller_, "what loops wait with");
  }

  absl::Status Parse(const std::vector<absl::string_view>& arguments) {
    return flags_.Parse(arguments);
  }
  std::string ErrorOf(const std::vector<absl::string_view>& arguments) {
    return std::string(Parse(arguments).message());
  }
  std::optional<int> ParseCommandLine(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "/usr/bin/mill");
    return flags_.ParseCommandLine(static_cast<int>(arguments.size()),
                                   const_cast<char**>(arguments.data()));
  }

  int threads_ = 4;
  bool quiet_ = false;
  absl::Duration timeout_ = absl::Seconds(60);
  std::string json_;
  std::vector<SocketAddress> listen_ = {SocketAddress::Loopback(7007)};
  std::string poller_ = "epoll";
  FlagSet flags_{"mill", "Grinds."};
};

TEST_F(FlagSetTest, WithoutFlagsDefaultsStay) {
  EXPECT_TRUE(Parse({}).ok());
  EXPECT_EQ(threads_, 4);
  EXPECT_EQ(timeout_, absl::Seconds(60));
  EXPECT_THAT(listen_, ElementsAre(SocketAddress::Loopback(7007)));
}

TEST_F(FlagSetTest, EachKindIsRead) {
  ASSERT_TRUE(Parse({"--threads=2", "--timeout=1m30s", "--json=out=1.json", "--poller=poll",
                     "--listen=[::1]:0"})
                  .ok());
  EXPECT_EQ(threads_, 2);
  EXPECT_EQ(timeout_, absl::Seconds(90));
  EXPECT_EQ(json_, "out=1.json");
  EXPECT_EQ(poller_, "poll");
  EXPECT_THAT(listen_, ElementsAre(SocketAddress::Parse("[::1]:0").value()));
}

TEST_F(FlagSetTest, KnowsWhatWasGivenEvenIfItIsTheDefault) {
  EXPECT_TRUE(Parse({"--threads=4", "--quiet"}).ok());
  EXPECT_TRUE(flags_.given("threads"));
  EXPECT_TRUE(flags_.given("quiet"));
  EXPECT_FALSE(flags_.given("listen"));
  EXPECT_FALSE(flags_.given("no_such_flag"));
}

TEST_F(FlagSetTest, TheValueMayStandBehindTheFlag) {
  ASSERT_TRUE(Parse({"--threads", "2", "--json", "-"}).ok());
  EXPECT_EQ(threads_, 2);
  EXPECT_EQ(json_, "-");
}

TEST_F(FlagSetTest, ASwitchStandsAlone) {
  ASSERT_TRUE(Parse({"--quiet", "--threads", "2"}).ok());
  EXPECT_TRUE(quiet_);
  EXPECT_EQ(threads_, 2);
  ASSERT_TRUE(Parse({"--quiet=false"}).ok());
  EXPECT_FALSE(quiet_);
  ASSERT_TRUE(Parse({"--quiet=true"}).ok());
  EXPECT_TRUE(quiet_);
}

// What stands behind it is not its value.
TEST_F(FlagSetTest, ASwitchTakesNothingElse) {
  EXPECT_EQ(ErrorOf({"--quiet=1"}), "--quiet=1: must be true or false, or stand alone");
  EXPECT_EQ(ErrorOf({"--quiet="}), "--quiet=: must be true or false, or stand alone");
  EXPECT_EQ(ErrorOf({"--quiet", "yes"}), "unexpected argument \"yes\"; see --help");
}

TEST_F(FlagSetTest, AddressesComeByCommasAndByRepeating) {
  ASSERT_TRUE(Parse({"--listen=127.0.0.1:1,unix:/a", "--threads=1", "--listen=*:2"}).ok());
  EXPECT_THAT(listen_, ElementsAre(SocketAddress::Loopback(1), SocketAddress::Unix("/a"),
                                   SocketAddress::Any(2)));
}

TEST_F(FlagSetTest, OfOtherFlagsTheLastOneCounts) {
  ASSERT_TRUE(Parse({"--threads=1", "--threads=2"}).ok());
  EXPECT_EQ(threads_, 2);
}

TEST_F(FlagSetTest, ErrorsNameTheFlagItsValueAndTheReason) {
  const struct {
    absl::string_view argument, error;
  } cases[] = {
      {"--threads=two", "--threads=two: must be a whole number from 0 to 64"},
      {"--threads=65", "--threads=65: must be a whole number from 0 to 64"},
      {"--threads=-1", "--threads=-1: must be a whole number from 0 to 64"},
      {"--threads=", "--threads=: must be a whole number from 0 to 64"},
      {"--timeout=60", "--timeout=60: must be a duration, such as 1.5s, 200ms or 1h30m"},
      {"--timeout=0", "--timeout=0: must be 1ms or more"},
      {"--timeout=1h1s", "--timeout=1h1s: must be 1h or less"},
      {"--json=", "--json=: must not be empty"},
      {"--poller=kqueue", "--poller=kqueue: no poller \"kqueue\": it is epoll, poll or select"},
      {"--threads", "--threads: needs a value: --threads=N"},
      {"--nonsense", "--nonsense: no such flag; see --help"},
      {"--nonsense=1", "--nonsense: no such flag; see --help"},
      {"--help=1", "--help=1: stands alone"},
      {"--help=", "--help=: stands alone"},
      {"-threads=1", "unexpected argument \"-threads=1\"; see --help"},
      {"stray", "unexpected argument \"stray\"; see --help"},
  };
  for (const auto& [argument, error] : cases) EXPECT_EQ(ErrorOf({argument}), error);
  EXPECT_THAT(ErrorOf({"--listen=localhost:80"}), StartsWith("--listen=localhost:80: "));
}

TEST_F(FlagSetTest, TheNextFlagIsNoValue) {
  EXPECT_EQ(ErrorOf({"--threads", "--json=x"}), "--threads: needs a value: --threads=N");
}

TEST_F(FlagSetTest, AWrongValueLeavesTheVariable) {
  EXPECT_FALSE(Parse({"--threads=65"}).ok());
  EXPECT_FALSE(Parse({"--listen=127.0.0.1:80,nowhere"}).ok());
  EXPECT_EQ(threads_, 4);
  EXPECT_THAT(listen_, ElementsAre(SocketAddress::Loopback(7007)));
}

TEST_F(FlagSetTest, HelpListsFlagsAndDefaults) {
  const std::string help = flags_.Help();
  EXPECT_THAT(help, StartsWith("Grinds.\n\nUsage: mill [--flag=value ...]\n\n"));
  EXPECT_THAT(help, HasSubstr("  --threads=N       worker loops (default 4)\n"));
  EXPECT_THAT(help, HasSubstr("  --timeout=TIME    how long it takes (default 1m)\n"));
  EXPECT_THAT(help, HasSubstr("  --json=FILE       where the figures go\n"));
  EXPECT_THAT(help, HasSubstr("  --listen=ADDRESS  where (default 127.0.0.1:7007)\n"));
}

TEST_F(FlagSetTest, LongHelpIsWrapped) {
  int number = 0;
  flags_.AddInt("number", number, 0, 1,
                "one two three four five six seven eight nine ten eleven twelve thirteen fourteen");
  EXPECT_THAT(flags_.Help(),
              HasSubstr("eleven twelve\n                    thirteen fourteen (default 0)\n"));
}

TEST_F(FlagSetTest, HelpGoesToStdoutAndIsNoError) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_EQ(ParseCommandLine({"--threads=1", "--help"}), 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), flags_.Help());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(FlagSetTest, AnErrorIsOneLineOnStderr) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_EQ(ParseCommandLine({"--threads=x"}), 1);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::AllOf(StartsWith("mill: --threads=x: "), EndsWith("\n")));
}

TEST_F(FlagSetTest, AGoodCommandLineGoesOn) {
  EXPECT_EQ(ParseCommandLine({"--threads=1"}), std::nullopt);
  EXPECT_EQ(threads_, 1);
}

TEST_F(FlagSetTest, BytesComeWithAUnitOrWithout) {
  const auto read = [](absl::string_view text) { return FlagSet::ReadBytes(text).value_or(0); };
  EXPECT_EQ(read("1500"), 1500u);
  EXPECT_EQ(read("64KiB"), 65536u);
  EXPECT_EQ(read("512MiB"), 512u << 20);
  EXPECT_EQ(read("17179869183GiB"), uint64_t{17179869183} << 30);
  for (const char* wrong : {"", "KiB", "-1", "1.5MiB", "64kb", "17179869184GiB"}) {
    EXPECT_FALSE(FlagSet::ReadBytes(wrong).ok()) << wrong;
  }
}

TEST_F(FlagSetTest, NumbersAreInTheirRange) {
  double value = 7;
  EXPECT_TRUE(FlagSet::ReadNumber("0.5", 0, 1, value).ok());
  EXPECT_EQ(value, 0.5);
  for (const char* wrong : {"", "x", "nan", "-0.1", "1.1", "inf"}) {
    EXPECT_FALSE(FlagSet::ReadNumber(wrong, 0, 1, value).ok()) << wrong;
  }
  EXPECT_EQ(value, 0.5) << "a wrong one changes nothing";
}

}  // namespace
}  // namespace millrace
