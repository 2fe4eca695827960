// SPDX-License-Identifier: Apache-2.0
#include "examples/server/server_flags.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/token_bucket.h"
#include "net/address_prefix.h"
#include "net/memory_budget.h"
#include "net/progress_limits.h"
#include "net/rate_limit.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

constexpr int kThreadsMax = 1024;
constexpr int kMany = 10'000'000;

// Where members may only listen, to say nothing is no offence.
void SetProgress(ServerProgram& program, ProgressLimits progress) {
  if (program.peers_may_only_listen) progress.first_byte_timeout = absl::InfiniteDuration();
  program.limits.progress = progress;
}

void AddLoopFlags(FlagSet& flags, ServerSettings& settings) {
  flags.AddInt("threads", settings.threads, 0, kThreadsMax,
               "worker loops, each with a thread; 0: one for each core it may use");
  flags.AddPoller("poller", settings.poller, "what the loops wait with: epoll, poll or select");
  flags.AddDuration("busy_poll", settings.busy_poll, absl::ZeroDuration(),
                    "how long a busy loop asks for more before it sleeps: half the latency of lone "
                    "requests, for up to a core; 100us is a good value, 0s is off",
                    kBusyPollMax);
}

void AddListeningFlags(FlagSet& flags, ServerSettings& settings, const ServerProgram& program) {
  settings.sockets.addresses = {SocketAddress::Loopback(program.port)};
  flags.AddAddresses(
      "listen", settings.sockets.addresses,
      "where: 127.0.0.1:7007, [::1]:7007, *:7007 (all addresses) or unix:/path.sock; "
      "port 0 picks a free one; several separated by commas, or by several --listen");
  flags.Add({.name = "takeover",
             .value = "PATH",
             .help =
                 "takes the listening sockets over from the process that offers them at this "
                 "Unix socket, if there is one, which then drains; and offers them there to the "
                 "next one",
             .read = [&settings](absl::string_view path) -> absl::Status {
               MILLRACE_ASSIGN_OR_RETURN(settings.sockets.offer,
                                         SocketAddress::Parse(absl::StrCat("unix:", path)));
               return absl::OkStatus();
             }});
}

void AddPrefixes(FlagSet& flags, absl::string_view name, std::vector<AddressPrefix>& value,
                 absl::string_view help) {
  const auto read = [&value](absl::string_view text) -> absl::Status {
    // As of a variable that is not set: to take it for everybody would open what is to be closed.
    if (text.empty()) return absl::InvalidArgumentError("must not be empty");
    MILLRACE_ASSIGN_OR_RETURN(std::vector<AddressPrefix> more, AddressPrefix::ParseList(text));
    value.insert(value.end(), more.begin(), more.end());
    return absl::OkStatus();
  };
  flags.Add({.name = std::string(name),
             .value = "PREFIX",
             .help = absl::StrCat(help,
                                  "; 10.0.0.0/8, 2001:db8::/32 or an address; several "
                                  "separated by commas, or by giving the flag again"),
             .read = read});
}

void AddAdmissionFlags(FlagSet& flags, AdmissionOptions& admission, ServerProgram& program) {
  flags.AddInt("max_connections", program.connections_max, 1, kMany,
               "how many at once; more wait until one ends");
  flags.AddInt("max_connections_per_listener", admission.connections_per_listener_max, 0, kMany,
               "how many at once of each address in --listen; more wait; 0: no cap of its own");
  flags.AddInt("max_connections_per_peer", admission.connections_per_peer_max, 0, kMany,
               "how many at once from one IPv4 address or IPv6 /64; more are refused; 0: half of "
               "--max_connections, and peers of this machine are not counted");
  const auto read_rate = [&admission](absl::string_view text) {
    return FlagSet::ReadNumber(text, 0, kMany, admission.accepts_per_second);
  };
  flags.Add({.name = "accept_rate",
             .value = "N",
             .initial = "0",
             .help = "connections accepted in a second; more wait; 0: as fast as they come",
             .read = read_rate});
  flags.AddInt("accept_burst", admission.accept_burst, 0, kMany,
               "how many of them at once, with --accept_rate; 0: what comes in a second");
  AddPrefixes(flags, "allow", admission.allow, "accepts only these peers");
  AddPrefixes(flags, "deny", admission.deny, "refuses these peers, also if --allow names them");
}

void AddConnectionFlags(FlagSet& flags, ServerProgram& program) {
  flags.AddDuration("idle_timeout", program.limits.idle_timeout, absl::Milliseconds(1),
                    "closes a connection on which nothing moved for so long; inf: never");
  SetProgress(program, ProgressLimits::Lenient());
  const auto read_progress = [&program](absl::string_view text) {
    MILLRACE_ASSIGN_OR_RETURN(ProgressLimits progress, ProgressLimits::ByName(text));
    SetProgress(program, progress);
    return absl::OkStatus();
  };
  flags.Add({.name = "progress",
             .value = "NAME",
             .initial = "lenient",
             .help = "how fast messages must come: off, lenient or strict; see docs/limits.md",
             .read = read_progress});
  flags.AddSwitch("flight_recorder", program.limits.flight_recorder,
                  "remembers the last events of each connection; SIGUSR1 writes them to the log");
}

void AddRate(FlagSet& flags, absl::string_view name, RateLimit& rate, absl::string_view help) {
  const auto read = [&rate](absl::string_view text) -> absl::Status {
    MILLRACE_ASSIGN_OR_RETURN(const uint64_t bytes, FlagSet::ReadBytes(text));
    const RateLimit limit = {.bytes_per_second = static_cast<double>(bytes)};
    if (!RateLimits{.read = limit}.Check().ok()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("must be 0 to %.0f", TokenRate::kPerSecondMax));
    }
    rate = limit;
    return absl::OkStatus();
  };
  flags.Add({.name = std::string(name),
             .value = "BYTES",
             .initial = "0",
             .help = std::string(help),
             .read = read});
}

void AddShareFlags(FlagSet& flags, ServerSettings& settings, ServerProgram& program) {
  AddRate(flags, "read_rate", program.limits.rate.read,
          "bytes that are read from a connection in a second, as 64KiB; 0: as they come");
  AddRate(flags, "write_rate", program.limits.rate.write,
          "bytes that are written to a connection in a second; 0: as they are taken");
  const auto read_limit = [&settings](absl::string_view text) -> absl::Status {
    MILLRACE_ASSIGN_OR_RETURN(const uint64_t bytes, FlagSet::ReadBytes(text));
    if (bytes == 0) return absl::InvalidArgumentError("must be more than 0");
    MILLRACE_ASSIGN_OR_RETURN(settings.memory_budget, MemoryBudget::Create({.limit_bytes = bytes}));
    return absl::OkStatus();
  };
  flags.Add({.name = "memory_limit",
             .value = "BYTES",
             .initial = "half of the memory",
             .help = "bytes that all connections together may have buffered, as 512MiB; near it "
                     "the largest are not read from, above it they are closed",
             .read = read_limit});
}

void AddEndingFlags(FlagSet& flags, ServerSettings& settings) {
  flags.AddDuration(
      "drain_timeout", settings.drain.grace, absl::ZeroDuration(),
      "how long connections may go on after SIGTERM, SIGINT or SIGHUP (which reloads nothing: "
      "there is no configuration); inf: as they like");
  flags.AddDuration("drain_idle", settings.drain.idle, absl::Milliseconds(1),
                    "half-closes, meanwhile, those on which nothing moved for so long; inf: none");
}

void AddWatchingFlags(FlagSet& flags, ServerSettings& settings) {
  const auto read_threshold = [&settings](absl::string_view text) {
    MILLRACE_ASSIGN_OR_RETURN(absl::Duration threshold, FlagSet::ReadDuration(text));
    if (threshold != absl::ZeroDuration() && threshold < kStallThresholdMin) {
      return absl::InvalidArgumentError(
          absl::StrCat("must be 0s, or ", absl::FormatDuration(kStallThresholdMin), " or more"));
    }
    settings.stall_threshold = threshold;
    return absl::OkStatus();
  };
  flags.Add({.name = "stall_threshold",
             .value = "TIME",
             .initial = absl::FormatDuration(settings.stall_threshold),
             .help = "reports, with a stack, a loop that is in one turn for so long; 0s: never",
             .read = read_threshold});
  flags.AddSwitch("measure_turns", settings.measure_turns,
                  "measures how long turns last and posts wait; SIGUSR1 writes it to the log");
}

}  // namespace

void AddServerFlags(FlagSet& flags, ServerSettings& settings, ServerProgram& program) {
  AddListeningFlags(flags, settings, program);
  AddLoopFlags(flags, settings);
  AddConnectionFlags(flags, program);
  AddAdmissionFlags(flags, settings.admission, program);
  AddShareFlags(flags, settings, program);
  AddEndingFlags(flags, settings);
  AddWatchingFlags(flags, settings);
  if (program.add_flags) program.add_flags(flags);
}

}  // namespace millrace
