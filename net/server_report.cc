// SPDX-License-Identifier: Apache-2.0
//
// What a TcpServer tells of its connections, on all of its loops.
#include <cstddef>
#include <utility>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/server_shard.h"
#include "net/tcp_server.h"

namespace millrace {
namespace {

// The loops share it, and the last one drops it.
class SharedSink final : public RefCounted<SharedSink> {
 public:
  explicit SharedSink(TcpServer::ReportSink write) : write_(std::move(write)) {}

  void Write(absl::string_view text) const {
    if (write_) return write_(text);
    LOG(INFO) << absl::StripSuffix(text, "\n");
  }

 private:
  friend class RefCounted<SharedSink>;
  ~SharedSink() = default;

  const TcpServer::ReportSink write_;
};

void ReportOne(ServerShard& shard, size_t index, const SharedSink& sink) LOOP_ONLY {
  shard.ReportConnections(
      [&](absl::string_view text) { sink.Write(absl::StrCat("loop ", index, ": ", text)); });
}

}  // namespace

// Workers that have stopped refuse the post: they have no connections.
void TcpServer::ReportConnections(ReportSink write) {
  const Ref<SharedSink> sink(new SharedSink(std::move(write)));
  for (size_t i = 1; i < parts_.size(); ++i) {
    parts_[i].loop.PostAlways([shard = parts_[i].shard, i, sink] {
      AssertOnLoop();
      ReportOne(*shard, i, *sink);
    });
  }
  ReportOne(*parts_[0].shard, 0, *sink);
}

}  // namespace millrace
