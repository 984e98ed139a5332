#include "cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "cli/interrupts.h"
#include "cli/render.h"

namespace weir::cli {
namespace {

std::size_t terminal_rows() {
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1;
  return known ? size.ws_row : 24;
}

/// `text` over what the terminal showed before: from the top left, each line and then the rest of
/// the screen cleared (ECMA-48: CUP, EL, ED). The last row stays free for the cursor.
std::string redrawn(std::string_view text, std::size_t rows) {
  std::string out = "\x1b[H";
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const bool more = text.size() > end + 1;
    if (line + 1 >= rows && more) {
      out += "... more than fits\x1b[K\n";
      break;
    }
    out.append(text.substr(0, end)).append("\x1b[K\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out + "\x1b[J";
}

}  // namespace

ExitCode show_once(const std::string& text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return kShown;
  std::fprintf(stderr, "weir: %s\n",
               Status::system_error("stdout: write", errno).message().c_str());
  return kFailed;
}

ExitCode tell_failure(const std::string& command, const Status& status) {
  std::fprintf(stderr, "weir %s: %s\n", command.c_str(), printable(status.message()).c_str());
  return kFailed;
}

ExitCode show(const std::string& command, const Watch& watch,
              const std::function<Result<std::string>()>& frame) {
  if (!watch.on) {
    const Result<std::string> text = frame();
    return text.ok() ? show_once(text.value()) : tell_failure(command, text.status());
  }
  const bool on_terminal = isatty(STDOUT_FILENO) == 1;
  const Interrupts interrupts;
  if (on_terminal && show_once("\x1b[2J") != kShown) return kFailed;
  for (std::uint64_t shown = 1;; ++shown) {
    const Deadline next = Deadline::after(watch.interval);
    const Result<std::string> text = frame();
    if (on_terminal) {
      const std::string body =
          text.ok() ? text.value() : "weir " + command + ": " + printable(text.status().message());
      if (show_once(redrawn(body, terminal_rows())) != kShown) return kFailed;
    } else if (!text.ok()) {
      tell_failure(command, text.status());
    } else if (show_once(text.value()) != kShown) {
      return kFailed;
    }
    const ExitCode last = text.ok() ? kShown : kFailed;
    if (watch.count != 0 && shown >= watch.count) return last;
    if (interrupts.wait(next)) return last;
  }
}

}  // namespace weir::cli
