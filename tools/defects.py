# SPDX-License-Identifier: Apache-2.0
"""Defects for tools/mutate.py: each is one line of the core, as it must not be.

That each can still be planted is checked by //tools:tree_test, so whoever changes such a line
comes by here.
"""

import dataclasses

SOAK = "//tests/sim:soak"


@dataclasses.dataclass(frozen=True)
class Defect:
    """Where in `path` stands `right`, just once, it puts `wrong`; `tests` are to notice."""
    name: str
    what: str  # In words.
    path: str
    right: str
    wrong: str
    tests: tuple

    def applied_to(self, text):
        if text.count(self.right) != 1:
            raise ValueError("%s: %r stands %d times in %s, and not once" %
                             (self.name, self.right, text.count(self.right), self.path))
        return text.replace(self.right, self.wrong)


ALL = [
    Defect("generation", "a token finds who came after its owner", "base/slot_map.h",
           "return place.generation == token.generation ? &place.value : nullptr;",
           "return &place.value;",
           ("//tests/base:slot_map_test", SOAK)),
    Defect("lost_wakeup", "only the second post of a burst wakes the loop", "net/mailbox.cc",
           "is_first = posts_.size() == 1;", "is_first = posts_.size() == 2;",
           ("//tests/net:event_loop_post_test", SOAK)),
    Defect("sleeps_on_mail", "a loop goes to sleep over its mail", "net/mailbox.cc",
           "return !has_news_.load(std::memory_order_seq_cst);", "return true;",
           ("//tests/net:mailbox_test", "//tests/net:event_loop_post_test")),
    Defect("bound_of_posts", "a mailbox takes one more than its bound", "net/mailbox.cc",
           "posts_.size() >= posts_max", "posts_.size() > posts_max",
           ("//tests/net:mailbox_test",)),
    Defect("stale_event", "an event is told to who no longer waits for it", "net/event_loop.cc",
           "  if (ready == Io::kNone) return;\n", "",
           ("//tests/net:event_loop_watch_test", SOAK)),
    Defect("end_of_turn", "a lone end of turn waits for company", "net/event_loop.cc",
           "if (!end_of_turn_.empty()) CallEndsOfTurn();",
           "if (end_of_turn_.size() > 1) CallEndsOfTurn();",
           ("//tests/net:event_loop_test", SOAK)),
    Defect("early_timer", "the wheel rounds deadlines down", "net/timer_wheel.cc",
           "(nanoseconds + kTickNanoseconds - 1) / kTickNanoseconds",
           "nanoseconds / kTickNanoseconds",
           ("//tests/net:timer_wheel_test", SOAK)),
    Defect("late_timer", "the wheel is off by one tick", "net/timer_wheel.cc",
           "while (FirstOccupiedSlot().first_tick <= now_tick_) {",
           "while (FirstOccupiedSlot().first_tick < now_tick_) {",
           ("//tests/net:timer_wheel_test", SOAK)),
    Defect("cascade", "timers of a higher level fire when their slot begins", "net/timer_wheel.cc",
           "Cascade(EntriesOf(slot));", "due.TakeAll(EntriesOf(slot));",
           ("//tests/net:timer_wheel_test", SOAK)),
    Defect("dropped_tail", "a short write drops what it did not take", "net/output_queue.cc",
           "if (n < head_->rest.size()) return head_->rest.remove_prefix(n);",
           "if (n < head_->rest.size()) return Free(PopPiece());",
           ("//tests/net:output_queue_test", SOAK)),
    Defect("file_offset", "a file that is sent in parts begins anew", "net/output_queue.cc",
           "file.offset += result.bytes();", "file.offset += 0;",
           ("//tests/net:output_queue_test", SOAK)),
    Defect("alarm", "an earlier deadline does not move the alarm", "net/epoll_poller.cc",
           "if (waits && (until < alarm_at_ || MayJump(clock))) SetAlarm(clock, until);",
           "if (waits && alarm_at_ == MonotonicTime::InfiniteFuture()) SetAlarm(clock, until);",
           ("//tests/net:epoll_poller_test", "//tests/contract:poller_wait_contract_test")),
    Defect("interrupted", "EINTR ends a connection", "net/socket.cc",
           "return errno == EAGAIN || errno == EINTR ? IoResult(would_block)",
           "return errno == EAGAIN ? IoResult(would_block)",
           ("//tests/net:socket_fault_test", SOAK)),
    Defect("connect_error", "a failed connect counts as made", "net/connector.cc",
           "MILLRACE_RETURN_IF_ERROR(socket_.TakeError());", "(void)socket_.TakeError();",
           ("//tests/net:connector_test", SOAK)),
    Defect("group_order", "two loops' messages of a group may part", "net/broadcast_group.cc",
           "  if (!part.posted) PostWork(part);\n  return !part.gone;",
           "  if (part.inbox.size() == 2) std::swap(part.inbox[0], part.inbox[1]);\n"
           "  if (!part.posted) PostWork(part);\n  return !part.gone;",
           ("//tests/net:broadcast_group_test", SOAK)),
    Defect("line_bound", "a line may be one byte too long", "net/codec/line_codec.cc",
           "  if (line.size() > line_bytes_max_) return TooLong();\n  searched_",
           "  if (line.size() > line_bytes_max_ + 1) return TooLong();\n  searched_",
           ("//tests/net/codec:line_codec_test",)),
    Defect("forgotten_pause", "a paused connection reads on", "net/connection_condition.h",
           "return pauses > 0 || above_high;", "return above_high;",
           ("//tests/net:tcp_connection_pause_test", SOAK)),
    Defect("forgotten_rest", "resuming does not offer what was left unread",
           "net/tcp_connection.cc",
           "  is_.offer_again = true;\n", "  is_.offer_again = false;\n",
           ("//tests/net:tcp_connection_pause_test", SOAK)),
    Defect("silent_low_mark", "nobody is told that there is room again", "net/tcp_connection.cc",
           "    is_.tell_writable = true;\n", "",
           ("//tests/net:tcp_connection_flow_test", SOAK)),
    Defect("end_drops_output", "the peer's end destroys output that waits",
           "net/tcp_connection_close.cc",
           "  if (!output_.empty()) return;\n",
           "  if (is_.peer_ended) return Finish();\n"
           "  if (!output_.empty()) return;\n",
           ("//tests/net:tcp_connection_close_test", SOAK)),
    Defect("output_bound", "output that waits does not count against its bound",
           "net/tcp_connection.cc",
           "if (n <= max - output_.memory_bytes()) return true;", "if (n <= max) return true;",
           ("//tests/net:tcp_connection_flow_test", SOAK)),
    Defect("clean_end_of_part", "dropped output looks like all there is",
           "net/tcp_connection_close.cc",
           "if (resets_ || !output_.empty()) wire()", "if (resets_) wire()",
           ("//tests/net:tcp_connection_close_test", SOAK)),
    Defect("sleeping_deadline", "a deadline that moved away is forgotten",
           "net/tcp_connection_timeout.cc",
           "if (!overdue && looks_later && !goes_on) return loop().timers().ArmAt(*this, next);",
           "if (!overdue && looks_later && !goes_on) return;",
           ("//tests/net:tcp_connection_timeout_test", SOAK)),
    Defect("spinning_accept", "out of descriptors the acceptor does not rest", "net/acceptor.cc",
           "if (IsExhaustion(error) || stays) Rest(error);",
           "if ((IsExhaustion(error) && error == 0) || stays) Rest(error);",
           ("//tests/net:acceptor_test", "//tests/faults:errno_accept_test")),
    Defect("lost_place", "places of closed connections are not given back", "net/places.h",
           "if (taken_.fetch_sub(1) - 1 > resume_at_", "if (taken_.load() - 1 > resume_at_",
           ("//tests/net:places_test", "//tests/net:tcp_server_admission_test")),
    Defect("drain_accepts", "a server that drains goes on accepting", "net/server_shard.cc",
           "void ServerShard::Drain(const DrainOptions& options) {\n  acceptors_.StopListening();\n",
           "void ServerShard::Drain(const DrainOptions& options) {\n",
           ("//tests/net:server_shard_test", "//tests/net:tcp_server_drain_test",
            "//tests/examples:echo_binary_test", SOAK)),
    Defect("no_pause_before_retry", "a client storms a server that fails", "net/tcp_client.cc",
           "retry_timer_.Arm(backoff_.Next());", "retry_timer_.Arm(absl::ZeroDuration());",
           ("//tests/net:tcp_client_test", SOAK)),
    Defect("denied_is_let_in", "deny lists are looked at only if there is an allow list",
           "net/admission.cc",
           "if (options_.deny.empty() && options_.allow.empty()) return false;",
           "if (options_.allow.empty()) return false;",
           ("//tests/net:admission_test",)),
    Defect("unpaid_slowness", "bytes that come do not put off the rate's deadline",
           "net/pending_message.h",
           "void Arrived(size_t n) { bytes_ += n; }", "void Arrived(size_t) {}",
           ("//tests/net:pending_message_test",)),
    Defect("hasty_deadline", "a loop that stood still believes its timers before its peers",
           "net/tcp_connection_timeout.cc",
           "    conn_.OnIo(Io::kRead | Io::kWrite);\n", "",
           ("//tests/net:tcp_connection_late_test",)),
    Defect("budget_burst", "a turn reads far more than the budget has room for",
           "net/budget_share.cc",
           "  BoundReads(total);\n  if (looks_soon_", "  if (looks_soon_",
           ("//tests/net:budget_share_test", "//tests/net:tcp_connection_budget_test")),
    Defect("leaked_holder", "the memory budget counts who is gone", "net/budget_share.cc",
           "  AssertOnLoop();\n  SetHeldBytes(0);\n", "  AssertOnLoop();\n",
           ("//tests/net:budget_share_test", SOAK)),
    Defect("half_the_bytes", "a rate limit takes half of what went", "net/rate_limit.cc",
           "if (own_) own_->Take(bytes, now);", "if (own_) own_->Take(bytes / 2, now);",
           ("//tests/net:rate_limit_test", SOAK)),
    Defect("late_for_short_ones", "a short message has the time of the long one before it",
           "net/tcp_connection_message.cc",
           "    if (!closed()) EnsureMessageTimer();  // With fewer bytes its rate's deadline",
           "    // With fewer bytes its rate's deadline",
           ("//tests/net:tcp_connection_message_test", SOAK)),
    Defect("counted_twice", "an end is counted twice", "net/tcp_connection_close.cc",
           "  counters.CountEnd(cause_);\n",
           "  counters.CountEnd(cause_);\n  counters.CountEnd(cause_);\n",
           ("//tests/net:tcp_connection_close_test", SOAK)),
    Defect("room_for_nobody", "a listener that waits is not told of room", "net/places.h",
           "    waited_for_.store(true);\n", "",
           ("//tests/net:places_test", "//tests/net:tcp_server_admission_test", SOAK)),
]
