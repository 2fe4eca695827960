// SPDX-License-Identifier: Apache-2.0
#include "net/connection_handle.h"

#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/tcp_connection.h"

namespace millrace {

bool ConnectionHandle::Run(ConnectionWork work) const {
  return PostTo(loop_, token_, [work = std::move(work)](IoHandler& found) mutable {
    // Only connections give out their tokens as handles, so what is found is one.
    std::move(work)(static_cast<TcpConnection&>(found));
  });
}

bool ConnectionHandle::Send(std::string bytes) const {
  return Run([bytes = std::move(bytes)](TcpConnection& conn) mutable {
    AssertOnLoop();
    conn.SendOwned(std::move(bytes));
  });
}

bool ConnectionHandle::Send(absl::Cord bytes) const {
  return Run([bytes = std::move(bytes)](TcpConnection& conn) {
    AssertOnLoop();
    conn.Send(bytes);
  });
}

bool ConnectionHandle::Close() const {
  return Run([](TcpConnection& conn) {
    AssertOnLoop();
    conn.CloseAfterFlush();
  });
}

bool ConnectionHandle::Abort(absl::Status why) const {
  return Run([why = std::move(why)](TcpConnection& conn) mutable {
    AssertOnLoop();
    conn.Abort(std::move(why));
  });
}

}  // namespace millrace
