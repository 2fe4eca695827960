// SPDX-License-Identifier: Apache-2.0
//
// Passing a failure on to the caller, in one line. For functions that return absl::Status or
// absl::StatusOr.
//
//   MILLRACE_RETURN_IF_ERROR(socket.SetNoDelay(true));
//   MILLRACE_ASSIGN_OR_RETURN(Socket listener, Socket::Listen(address));
//   MILLRACE_ASSIGN_OR_RETURN(listener_, Socket::Listen(address));
//
// Not for coroutines, which return by another word.

#ifndef MILLRACE_BASE_STATUS_MACROS_H_
#define MILLRACE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Evaluates an expression that gives an absl::Status, and returns that if it is not OK.
#define MILLRACE_RETURN_IF_ERROR(...)                                          \
  do {                                                                         \
    if (absl::Status millrace_status = (__VA_ARGS__); !millrace_status.ok()) { \
      return millrace_status;                                                  \
    }                                                                          \
  } while (false)

// Evaluates an expression that gives an absl::StatusOr<T>; returns its status if it is not OK, and
// else moves its value to `lhs`: a variable that is there, or the declaration of one. These are
// several statements, so it is no body for an `if` without braces. A `lhs` that has a comma is
// declared before, or `auto`.
#define MILLRACE_ASSIGN_OR_RETURN(lhs, ...)                                              \
  MILLRACE_ASSIGN_OR_RETURN_BY_(MILLRACE_NAME_LINE_(millrace_status_or_, __LINE__), lhs, \
                                __VA_ARGS__)

#define MILLRACE_ASSIGN_OR_RETURN_BY_(status_or, lhs, ...)   \
  auto status_or = (__VA_ARGS__);                            \
  if (!status_or.ok()) return std::move(status_or).status(); \
  lhs = *std::move(status_or)

// Two steps, so that __LINE__ is a number before it is pasted.
#define MILLRACE_NAME_LINE_(name, line) MILLRACE_PASTE_(name, line)
#define MILLRACE_PASTE_(name, line) name##line

#endif  // MILLRACE_BASE_STATUS_MACROS_H_
