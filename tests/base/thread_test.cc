// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

static_assert(!std::is_copy_constructible_v<Thread>);
static_assert(std::is_nothrow_move_constructible_v<Thread>);

Thread MustStart(Thread::Options options, absl::AnyInvocable<void() &&> body) {
  absl::StatusOr<Thread> thread = Thread::Start(std::move(options), std::move(body));
  EXPECT_TRUE(thread.ok()) << thread.status();
  return *std::move(thread);
}

std::string NameSeenInside(std::string name) {
  char seen[64] = "";
  MustStart({.name = std::move(name)}, [&] {
    pthread_getname_np(pthread_self(), seen, sizeof(seen));
  }).Join();
  return seen;
}

sigset_t BlockedNow() {
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return blocked;
}

TEST(ThreadTest, RunsItsBodyOnAnotherThread) {
  pthread_t inside = pthread_self();
  Thread thread = MustStart({}, [&inside] { inside = pthread_self(); });
  thread.Join();
  EXPECT_FALSE(pthread_equal(inside, pthread_self()));
}

TEST(ThreadTest, IsJoinableFromStartToJoin) {
  Thread none;
  EXPECT_FALSE(none.joinable());
  Thread thread = MustStart({}, [] {});
  EXPECT_TRUE(thread.joinable());
  thread.Join();
  EXPECT_FALSE(thread.joinable());
}

TEST(ThreadTest, DestructorJoins) {
  bool done = false;  // No lock: the join is what orders the accesses, as tsan knows.
  absl::Notification go;
  {
    Thread thread = MustStart({}, [&] {
      go.WaitForNotification();
      done = true;
    });
    go.Notify();
  }
  EXPECT_TRUE(done);
}

TEST(ThreadTest, MovingHandsOverTheJoin) {
  bool done = false;
  Thread from = MustStart({}, [&done] { done = true; });
  Thread to = std::move(from);
  EXPECT_FALSE(from.joinable());
  EXPECT_TRUE(to.joinable());
  to.Join();
  EXPECT_TRUE(done);
}

TEST(ThreadTest, AssignmentJoinsWhatWasThere) {
  bool first_done = false;
  bool second_done = false;
  Thread thread = MustStart({}, [&first_done] { first_done = true; });
  thread = MustStart({}, [&second_done] { second_done = true; });
  EXPECT_TRUE(first_done);
  thread = Thread();
  EXPECT_TRUE(second_done);
  EXPECT_FALSE(thread.joinable());
}

TEST(ThreadTest, BodyIsGoneWhenItIsJoined) {
  auto captured = std::make_shared<int>(0);
  Thread thread = MustStart({}, [captured] {});
  thread.Join();
  EXPECT_EQ(captured.use_count(), 1);
}

TEST(ThreadTest, HasItsName) { EXPECT_EQ(NameSeenInside("worker-3"), "worker-3"); }

TEST(ThreadTest, NameIsCutAtFifteenBytes) {
  EXPECT_EQ(NameSeenInside("a-name-of-some-length"), "a-name-of-some-");
  EXPECT_EQ(NameSeenInside("fifteen-bytes-x"), "fifteen-bytes-x");
}

TEST(ThreadTest, PinnedThreadStaysOnItsCpu) {
  const int cpu = AvailableCpuList().back();
  std::vector<int> list;
  int count = 0;
  MustStart({.cpu = cpu}, [&] {
    list = AvailableCpuList();
    count = AvailableCpus();
  }).Join();
  EXPECT_EQ(list, std::vector<int>{cpu});
  EXPECT_EQ(count, 1);
}

TEST(ThreadTest, RunsAnywhereIfItCannotBePinned) {
  for (int cpu : {-1, 8191, 1'000'000}) {
    std::vector<int> list;
    MustStart({.name = "unpinned", .cpu = cpu}, [&] { list = AvailableCpuList(); }).Join();
    EXPECT_EQ(list, AvailableCpuList()) << cpu;
  }
}

TEST(ThreadTest, TakesSignalsLikeItsStarter) {
  int blocks_term = -1;
  MustStart({}, [&] {
    const sigset_t blocked = BlockedNow();
    blocks_term = sigismember(&blocked, SIGTERM);
  }).Join();
  EXPECT_EQ(blocks_term, 0);
}

TEST(ThreadTest, LeavesSignalsToOthersIfAsked) {
  sigset_t inside;
  MustStart({.blocks_signals = true}, [&inside] { inside = BlockedNow(); }).Join();
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE}) {
    EXPECT_TRUE(sigismember(&inside, number)) << number;
  }
  for (int number : {SIGSEGV, SIGBUS, SIGABRT}) EXPECT_FALSE(sigismember(&inside, number));
  const sigset_t outside = BlockedNow();
  EXPECT_FALSE(sigismember(&outside, SIGTERM));
}

// While it lives, a new thread wants more stack than there are addresses.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, size_t{1} << 55);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }
  ~NoMoreThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

TEST(ThreadTest, NoMoreThreadsIsAStatusThatNamesTheThread) {
  auto captured = std::make_shared<int>(0);
  absl::StatusOr<Thread> thread;
  {
    NoMoreThreads no_more_threads;
    thread = Thread::Start({.name = "worker-3"}, [captured] { FAIL() << "it runs"; });
  }
  ASSERT_FALSE(thread.ok());
  EXPECT_EQ(thread.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(thread.status().message().find("worker-3"), std::string::npos) << thread.status();
  EXPECT_EQ(captured.use_count(), 1);
}

TEST(ThreadDeathTest, NoThreadCannotBeJoined) {
  Thread none;
  EXPECT_DEATH(none.Join(), "no thread to join");
}

TEST(ThreadDeathTest, ThreadCannotJoinItself) {
  EXPECT_DEATH(
      {
        absl::Notification started;
        Thread thread;
        thread = MustStart({}, [&] {
          started.WaitForNotification();
          thread.Join();
        });
        started.Notify();
        absl::Notification().WaitForNotification();
      },
      "a thread joins itself");
}

TEST(AvailableCpusTest, ThereIsAtLeastOneAndTheListIsInOrder) {
  const std::vector<int> list = AvailableCpuList();
  EXPECT_GE(AvailableCpus(), 1);
  EXPECT_EQ(list.size(), static_cast<size_t>(AvailableCpus()));
  EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
  EXPECT_GE(list.front(), 0);
}

}  // namespace
}  // namespace millrace
