// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop_thread_pool.h"

#include <dirent.h>
#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "base/thread.h"
#include "gtest/gtest.h"
#include "net/epoll_poller.h"
#include "net/event_loop.h"

namespace millrace {
namespace {

using Pool = std::unique_ptr<EventLoopThreadPool>;

Pool StartPool(int threads) { return EventLoopThreadPool::Start({.threads = threads}).value(); }

// What `ask` says on the loop.
template <typename Ask>
auto On(const LoopRef& loop, Ask ask) {
  decltype(ask()) answer;
  absl::Notification done;
  EXPECT_TRUE(loop.Post([&] {
    answer = ask();
    done.Notify();
  }));
  done.WaitForNotification();
  return answer;
}

template <typename Work>
void InThreads(int count, Work work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

std::string ThreadName() {
  char name[16];
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

std::vector<int> Cpus() { return AvailableCpuList(); }

int OpenDescriptors() {
  int count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

// --- Starting ---

TEST(EventLoopThreadPoolTest, RunsEachLoopOnAThreadOfItsOwn) {
  const Pool pool = StartPool(3);
  ASSERT_EQ(pool->size(), 3u);
  const auto thread_of = [&](int i) { return On(pool->loop(i), pthread_self); };
  EXPECT_NE(thread_of(0), thread_of(1));
  EXPECT_NE(thread_of(1), thread_of(2));
  EXPECT_NE(thread_of(2), thread_of(0));
  EXPECT_NE(thread_of(0), pthread_self());
  EXPECT_EQ(thread_of(0), thread_of(0));
}

TEST(EventLoopThreadPoolTest, NamesItsThreadsAndItsLoops) {
  const Pool pool = EventLoopThreadPool::Start({.threads = 2, .name = "mill"}).value();
  EXPECT_EQ(On(pool->loop(0), ThreadName), "mill0");
  EXPECT_EQ(On(pool->loop(1), ThreadName), "mill1");
  EXPECT_EQ(pool->loop(1).pulse()->name(), "mill1");
  EXPECT_EQ(On(StartPool(1)->loop(0), ThreadName), "worker0");
}

TEST(EventLoopThreadPoolTest, HasAThreadForEachCoreUnlessItIsTold) {
  const Pool pool = EventLoopThreadPool::Start().value();
  EXPECT_EQ(static_cast<int>(pool->size()), AvailableCpus());
}

TEST(EventLoopThreadPoolTest, NegativeNumberOfThreadsIsRefused) {
  const absl::Status status = EventLoopThreadPool::Start({.threads = -1}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

TEST(EventLoopThreadPoolTest, PinsEachThreadToACoreInTurn) {
  const std::vector<int> cores = AvailableCpuList();
  const int threads = static_cast<int>(cores.size()) + 1;
  const Pool pool = EventLoopThreadPool::Start({.threads = threads, .pin_to_cores = true}).value();
  for (int i = 0; i < threads; ++i) {
    EXPECT_EQ(On(pool->loop(i), Cpus), std::vector<int>{cores[i % cores.size()]});
  }
  EXPECT_EQ(AvailableCpuList(), cores) << "we are where we were";
}

TEST(EventLoopThreadPoolTest, LeavesThreadsWhereTheyAreUnlessItIsTold) {
  const Pool pool = StartPool(1);
  EXPECT_EQ(On(pool->loop(0), Cpus), AvailableCpuList());
}

TEST(EventLoopThreadPoolTest, FailureOfOneLoopEndsTheOthersAndLeavesNothingBehind) {
  const int before = OpenDescriptors();
  std::atomic<int> asked{0};
  EventLoop::Options loop;
  loop.poller = [&]() -> absl::StatusOr<std::unique_ptr<Poller>> {
    if (++asked == 3) return absl::ResourceExhaustedError("no third one");
    return MakeEpollPoller();
  };
  const auto pool = EventLoopThreadPool::Start({.threads = 4, .loop = loop});
  EXPECT_EQ(pool.status(), absl::ResourceExhaustedError("no third one"));
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(OpenDescriptors(), before);
}

// --- Choosing ---

TEST(EventLoopThreadPoolTest, NextGoesRound) {
  const Pool pool = StartPool(3);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(pool->Next(), pool->loop(i % 3));
}

TEST(EventLoopThreadPoolTest, NextIsFairToThreadsThatAskAtOnce) {
  const Pool pool = StartPool(3);
  std::atomic<int> times[3] = {};
  InThreads(3, [&] {
    for (int i = 0; i < 1000; ++i) {
      const LoopRef& next = pool->Next();
      for (int j = 0; j < 3; ++j) times[j] += next == pool->loop(j);
    }
  });
  for (const std::atomic<int>& each : times) EXPECT_EQ(each, 1000);
}

TEST(EventLoopThreadPoolTest, SameKeySameLoop) {
  const Pool pool = StartPool(3);
  for (uint64_t key : {uint64_t{0}, uint64_t{1}, uint64_t{5}, ~uint64_t{0}}) {
    EXPECT_EQ(pool->ForKey(key), pool->ForKey(key));
  }
  EXPECT_NE(pool->ForKey(0), pool->ForKey(1));
  pool->Next();
  EXPECT_EQ(pool->ForKey(0), pool->loop(0)) << "whose turn it is does not matter";
}

// --- Stopping ---

TEST(EventLoopThreadPoolTest, WhatWasPostedHasRunOnceItHasStopped) {
  const Pool pool = StartPool(2);
  std::atomic<int> run{0};
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(pool->Next().Post([&] { ++run; }));
  pool->Stop();
  EXPECT_EQ(run, 1000);
}

TEST(EventLoopThreadPoolTest, DestructorStopsAndJoins) {
  std::atomic<int> run{0};
  {
    const Pool pool = StartPool(2);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(pool->Next().Post([&] { ++run; }));
  }
  EXPECT_EQ(run, 1000);
}

TEST(EventLoopThreadPoolTest, PostsAreRefusedOnceItHasStopped) {
  Pool pool = StartPool(2);
  const LoopRef kept = pool->loop(1);
  pool->Stop();
  EXPECT_FALSE(pool->Next().Post([] { FAIL(); }));
  EXPECT_FALSE(kept.Post([] { FAIL(); }));
  pool.reset();
  EXPECT_FALSE(kept.Post([] { FAIL(); }));
}

TEST(EventLoopThreadPoolTest, StoppingTwiceIsHarmless) {
  const Pool pool = StartPool(2);
  pool->Stop();
  pool->Stop();
}

TEST(EventLoopThreadPoolTest, EachOfSeveralThreadsThatStopItFindsItStopped) {
  for (int round = 0; round < 20; ++round) {
    const Pool pool = StartPool(2);
    std::atomic<int> run{0};
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool->Next().Post([&] { ++run; }));
    InThreads(4, [&] {
      pool->Stop();
      EXPECT_EQ(run, 100);
    });
  }
}

TEST(EventLoopThreadPoolTest, WorkerMayStopIt) {
  const Pool pool = StartPool(3);
  absl::Notification asked;
  pool->loop(1).Post([&] {
    pool->Stop();
    asked.Notify();
  });
  asked.WaitForNotification();
  pool->Stop();
  for (size_t i = 0; i < 3; ++i) EXPECT_FALSE(pool->loop(i).Post([] { FAIL(); }));
}

TEST(EventLoopThreadPoolTest, AllWorkersAndOthersMayStopItAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const Pool pool = StartPool(3);
    for (size_t i = 0; i < 3; ++i) pool->loop(i).Post([&] { pool->Stop(); });
    InThreads(2, [&] { pool->Stop(); });
  }
}

TEST(EventLoopThreadPoolTest, WorkerMayStopItFromInsideALoopThatItSteps) {
  const Pool pool = StartPool(1);
  On(pool->loop(0), [&] {
    const auto inner = EventLoop::Create().value();
    inner->ref().Post([&] { pool->Stop(); });
    return inner->RunOnce(absl::InfiniteDuration());
  });
}

TEST(EventLoopThreadPoolTest, LoopOfAnotherPoolMayWaitForItsEnd) {
  const Pool pool = StartPool(2), other = StartPool(1);
  On(other->loop(0), [&] {
    pool->Stop();
    return 0;
  });
  EXPECT_FALSE(pool->Next().Post([] { FAIL(); }));
  EXPECT_TRUE(other->Next().Post([] {}));
}

TEST(EventLoopThreadPoolTest, WorkersThatKeepEachOtherBusyAreStopped) {
  const Pool pool = StartPool(2);
  std::atomic<int> running{0};
  std::function<void(int)> toss = [&](int to) {
    ++running;
    pool->loop(to).Post([&toss, to] { toss(1 - to); });
  };
  for (int i = 0; i < 10; ++i) toss(i % 2);
  while (running < 1000) std::this_thread::yield();
  pool->Stop();
}

TEST(EventLoopThreadPoolTest, WhatALoopKeepsDiesOnItsThreadBeforeTheStopIsOver) {
  struct Mortal : Deferred {
    explicit Mortal(std::atomic<pthread_t>& where) : where(where) {}
    ~Mortal() override { where = pthread_self(); }
    std::atomic<pthread_t>& where;
  };
  std::atomic<pthread_t> where{pthread_self()};
  const Pool pool = StartPool(1);
  const pthread_t worker = On(pool->loop(0), [&] {
    AssertOnLoop();
    EventLoop::Current()->Keep(std::make_unique<Mortal>(where));
    return pthread_self();
  });
  pool->Stop();
  EXPECT_EQ(where, worker);
}

TEST(EventLoopThreadPoolTest, AdoptedLoopsAreSteppedWhileSomebodyWaitsForThem) {
  const auto first = EventLoop::Create().value(), second = EventLoop::Create().value();
  const Pool pool = EventLoopThreadPool::Adopt({first->ref(), second->ref()}, [&] {
    first->RunOnce(absl::ZeroDuration());
    second->RunOnce(absl::ZeroDuration());
  });
  ASSERT_EQ(pool->size(), 2u);
  absl::Notification done;
  pool->loop(1).Post([&] { done.Notify(); });
  pool->Wait(done);
  EXPECT_TRUE(done.HasBeenNotified());
}

TEST(EventLoopThreadPoolTest, HundredPoolsComeAndGo) {
  const int before = OpenDescriptors();
  for (int i = 0; i < 100; ++i) {
    const Pool pool = StartPool(1 + i % 3);
    if (i % 2 == 0) pool->Next().Post([] {});
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace millrace
