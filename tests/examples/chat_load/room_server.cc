// SPDX-License-Identifier: Apache-2.0
#include "tests/examples/chat_load/room_server.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "net/function_handler.h"

namespace millrace {

RoomServer::RoomServer(std::vector<Misdeed> misdeeds, Alarm alarm)
    : misdeeds_(std::move(misdeeds)), alarm_(std::move(alarm)) {
  thread_.emplace(ConnectionFunctions{
      .on_open = [this](TcpConnection& conn) { OnOpen(conn); },
      .on_data = [this](TcpConnection& conn, Buffer& input) { OnData(conn, input); },
      .on_close = [this](TcpConnection& conn, const absl::Status&) { clients_.erase(&conn); }});
}

void RoomServer::OnOpen(TcpConnection& conn) {
  clients_[&conn] = {};
  conn.Send("* welcome, guest: you are in lobby\n");
  TellRoom("lobby", "* guest joined\n");
}

void RoomServer::OnData(TcpConnection& conn, Buffer& input) {
  while (const std::optional<std::string> line = input.ReadLine(Buffer::Eol::kLf)) {
    OnLine(conn, *line);
  }
}

void RoomServer::OnLine(TcpConnection& conn, absl::string_view line) {
  Client& sender = clients_[&conn];
  if (absl::ConsumePrefix(&line, "/nick ")) return OnNick(conn, line);
  if (absl::ConsumePrefix(&line, "/join ")) {
    sender.room = std::string(line);
    return TellRoom(sender.room, absl::StrCat("* ", sender.name, " joined\n"));
  }
  if (++messages_ == alarm_.message) alarm_.call();
  for (auto& [to, client] : clients_) {
    if (client.room != sender.room) continue;
    Deliver(*to, client, absl::StrCat("[", sender.room, "] ", sender.name, ": ", line, "\n"));
  }
}

void RoomServer::OnNick(TcpConnection& conn, absl::string_view name) {
  Client& client = clients_[&conn];
  client.name = std::string(name);
  const Misdeed* const misdeed = MisdeedAgainst(client, /*when_named=*/true);
  if (misdeed == nullptr) return TellRoom(client.room, absl::StrCat("* guest is now ", name, "\n"));
  client.name = "guest";
  if (misdeed->act == Act::kRefuse) conn.Send("! name taken\n");
  if (misdeed->act == Act::kIgnore && alarm_.call) alarm_.call();
}

void RoomServer::TellRoom(absl::string_view room, absl::string_view line) {
  for (auto& [to, client] : clients_) {
    if (client.room == room) to->Send(line);
  }
}

const RoomServer::Misdeed* RoomServer::MisdeedAgainst(const Client& client, bool when_named) const {
  for (const Misdeed& misdeed : misdeeds_) {
    if (misdeed.member != client.name) continue;
    const bool of_name = misdeed.act == Act::kRefuse || misdeed.act == Act::kIgnore;
    if (of_name == when_named && (of_name || misdeed.nth == client.messages)) return &misdeed;
  }
  return nullptr;
}

void RoomServer::Deliver(TcpConnection& conn, Client& client, std::string line) {
  const Misdeed* const misdeed = MisdeedAgainst(client, /*when_named=*/false);
  ++client.messages;
  if (client.stalled) return;
  if (misdeed != nullptr) return DoWrong(misdeed->act, conn, client, std::move(line));
  conn.Send(line);
  conn.Send(std::exchange(client.kept, ""));
}

void RoomServer::DoWrong(Act act, TcpConnection& conn, Client& client, std::string line) {
  switch (act) {
    case Act::kTwice:
      conn.Send(line);
      conn.Send(line);
      break;
    case Act::kSwap:
      client.kept = line;
      break;
    case Act::kStall:
      client.stalled = true;
      break;
    case Act::kClose:
      client.stalled = true;
      conn.CloseAfterFlush();
      break;
    case Act::kReset:
      client.stalled = true;
      conn.Abort(absl::AbortedError("the test says so"));
      break;
    case Act::kSpoil:
      line[line.size() - 2] ^= 1;
      conn.Send(line);
      break;
    case Act::kForeign:
      conn.Send(absl::StrCat("[", client.room, "] bob: hello\n", line));
      break;
    case Act::kError:
      conn.Send(absl::StrCat("! too much\n", line));
      break;
    default:
      break;
  }
}

}  // namespace millrace
