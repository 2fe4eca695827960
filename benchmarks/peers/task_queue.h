// SPDX-License-Identifier: Apache-2.0
//
// What users of libuv and libevent write to hand work to a loop: a locked list of tasks, and a
// wake-up only when the first one is added. Add() from any thread; the rest is the loop's.
//
//   if (tasks.Add(std::move(work))) uv_async_send(&news);      // Some thread.
//   tasks.RunAll();                                            // The loop, when told the news.

#ifndef MILLRACE_BENCHMARKS_PEERS_TASK_QUEUE_H_
#define MILLRACE_BENCHMARKS_PEERS_TASK_QUEUE_H_

#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace millrace {

class TaskQueue {
 public:
  using Task = absl::AnyInvocable<void() &&>;

  // True if there was none: then the loop has to be told.
  bool Add(Task task) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    return tasks_.size() == 1;
  }

  void RunAll() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      running_.swap(tasks_);
    }
    for (Task& task : running_) std::move(task)();
    running_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<Task> tasks_;    // Guarded by mutex_.
  std::vector<Task> running_;  // The loop's.
};

}  // namespace millrace

#endif  // MILLRACE_BENCHMARKS_PEERS_TASK_QUEUE_H_
