// The shorter talks: a ping, one command of the host's, and plain questions.
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "exchange.h"

namespace weir::redis {

/// PING with a marker: nothing but the marker may come back.
class PingTalk final : public Talk {
 public:
  PingTalk();
  std::string opening() override;
  Verdict hear(ReplyPtr reply, std::string* more, Failure* failure) override;

 private:
  const std::string marker_;
};

/// One command, however many answers it has; a PING with a marker shows where they end.
class CommandTalk final : public Talk {
 public:
  explicit CommandTalk(const std::vector<std::string>& words);
  std::string opening() override;
  Verdict hear(ReplyPtr reply, std::string* more, Failure* failure) override;

 private:
  const std::string command_;
  const std::string marker_;
  ReplyPtr error_;
};

/// Commands with one answer each, which are kept, errors too.
class Questions final : public Talk {
 public:
  /// `words` are whole commands as bytes.
  explicit Questions(std::vector<std::string> commands);
  std::string opening() override;
  Verdict hear(ReplyPtr reply, std::string* more, Failure* failure) override;

  /// Once it is done: as many as there were commands.
  [[nodiscard]] const std::vector<ReplyPtr>& answers() const { return answers_; }

 private:
  const std::vector<std::string> commands_;
  std::vector<ReplyPtr> answers_;
};

/// Splits a line as redis-cli does: words with spaces between them, "..." with C's escapes and
/// '...'. False: a quote is not closed.
[[nodiscard]] bool split_words(const char* line, std::vector<std::string>* words);

}  // namespace weir::redis
