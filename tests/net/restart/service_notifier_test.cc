// SPDX-License-Identifier: Apache-2.0
#include "net/restart/service_notifier.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "tests/support/short_folder.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

// What listens at NOTIFY_SOCKET.
class Manager {
 public:
  explicit Manager(const SocketAddress& address)
      : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_storage storage;
    const socklen_t bytes = address.ToSockaddr(storage);
    CHECK_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&storage), bytes), 0);
  }
  // The next message; "" if there is none.
  std::string Hear() {
    char bytes[1024];
    const ssize_t n = recv(fd_.get(), bytes, sizeof(bytes), 0);
    return n < 0 ? "" : std::string(bytes, static_cast<size_t>(n));
  }

 private:
  UniqueFd fd_;
};

class ServiceNotifierTest : public ::testing::Test {
 protected:
  ~ServiceNotifierTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
      EXPECT_EQ(getenv(name), nullptr) << "left for children: " << name;
    }
    folder_.Remove("notify");
  }
  static void Say(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }
  void SayWhere() { Say("NOTIFY_SOCKET", folder_.Path("notify")); }
  void Make() { notifier_ = ServiceNotifier::FromEnvironment(*loop_); }

  ShortFolder folder_;
  TestLoop loop_;
  std::unique_ptr<ServiceNotifier> notifier_;
};

TEST_F(ServiceNotifierTest, TellsWhoeverIsNamed) {
  Manager manager(folder_.Unix("notify"));
  SayWhere();
  Make();
  EXPECT_TRUE(notifier_->active());
  EXPECT_EQ(manager.Hear(), "") << "nothing by itself";
  notifier_->Tell("READY=1\nSTATUS=listening");
  EXPECT_EQ(manager.Hear(), "READY=1\nSTATUS=listening");
  EXPECT_EQ(notifier_->counters().told.value(), 1);
}

TEST_F(ServiceNotifierTest, TellsAnAbstractSocket) {
  const std::string name = absl::StrCat("@millrace-notify-", getpid());
  Manager manager(SocketAddress::Unix(name));
  Say("NOTIFY_SOCKET", name);
  Make();
  notifier_->Tell("STOPPING=1");
  EXPECT_EQ(manager.Hear(), "STOPPING=1");
}

TEST_F(ServiceNotifierTest, WithoutTheVariableTellsNobody) {
  Say("WATCHDOG_USEC", "2000000");
  Make();
  EXPECT_FALSE(notifier_->active());
  EXPECT_EQ(notifier_->watchdog_period(), absl::ZeroDuration());
  notifier_->Tell("READY=1");
  EXPECT_EQ(notifier_->counters().dropped.value(), 0);
}

TEST_F(ServiceNotifierTest, ANameThatIsNoneTellsNobody) {
  for (const std::string& name : {std::string("vsock:2:1234"), std::string("notify"),
                                  std::string("/"), std::string("/") + std::string(200, 'x')}) {
    Say("NOTIFY_SOCKET", name);
    Make();
    EXPECT_FALSE(notifier_->active()) << name;
    notifier_->Tell("READY=1");
  }
}

TEST_F(ServiceNotifierTest, AManagerThatIsGoneIsCountedAndMayComeBack) {
  SayWhere();
  Make();
  notifier_->Tell("READY=1");
  { Manager manager(folder_.Unix("notify")); }
  notifier_->Tell("READY=1");
  EXPECT_EQ(notifier_->counters().dropped.value(), 2) << "no file, and nobody behind it";
  folder_.Remove("notify");
  Manager manager(folder_.Unix("notify"));
  notifier_->Tell("READY=1");
  EXPECT_EQ(manager.Hear(), "READY=1");
}

TEST_F(ServiceNotifierTest, AManagerThatDoesNotListenIsNotWaitedFor) {
  Manager manager(folder_.Unix("notify"));
  SayWhere();
  Make();
  for (int i = 0; i < 10'000; ++i) notifier_->Tell("STATUS=x");
  EXPECT_GT(notifier_->counters().dropped.value(), 0);
  EXPECT_EQ(notifier_->counters().told.value() + notifier_->counters().dropped.value(), 10'000);
}

TEST_F(ServiceNotifierTest, TheWatchdogHearsTwiceInItsTime) {
  Manager manager(folder_.Unix("notify"));
  SayWhere();
  Say("WATCHDOG_USEC", "3000000");
  Say("WATCHDOG_PID", absl::StrCat(getpid()));
  Make();
  EXPECT_EQ(notifier_->watchdog_period(), absl::Milliseconds(1500));
  loop_.Advance(absl::Milliseconds(1499));
  EXPECT_EQ(manager.Hear(), "");
  for (int i = 0; i < 3; ++i) {
    loop_.Advance(absl::Milliseconds(i == 0 ? 2 : 1500));
    EXPECT_EQ(manager.Hear(), "WATCHDOG=1") << i;
    EXPECT_EQ(manager.Hear(), "") << i;
  }
  notifier_->StopWatchdog();
  loop_.Advance(absl::Seconds(10));
  EXPECT_EQ(manager.Hear(), "");
}

TEST_F(ServiceNotifierTest, TheWatchdogOfAnotherProcessHearsNothing) {
  Manager manager(folder_.Unix("notify"));
  SayWhere();
  Say("WATCHDOG_USEC", "3000000");
  Say("WATCHDOG_PID", absl::StrCat(getppid()));
  Make();
  loop_.Advance(absl::Seconds(10));
  EXPECT_EQ(manager.Hear(), "");
}

TEST_F(ServiceNotifierTest, ATimeThatIsNoneIsNoWatchdog) {
  Manager manager(folder_.Unix("notify"));
  for (const char* text : {"soon", "0", "-5", "99999999999999999999"}) {
    SayWhere();
    Say("WATCHDOG_USEC", text);
    Make();
    EXPECT_EQ(notifier_->watchdog_period(), absl::ZeroDuration()) << text;
  }
}

TEST_F(ServiceNotifierTest, AVeryShortTimeDoesNotSpin) {
  Manager manager(folder_.Unix("notify"));
  SayWhere();
  Say("WATCHDOG_USEC", "1");
  Make();
  EXPECT_EQ(notifier_->watchdog_period(), absl::Milliseconds(1));
}

}  // namespace
}  // namespace millrace
