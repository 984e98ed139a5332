#include "demo/server_log.h"

#include <sstream>
#include <utility>

namespace weir::demo {

ServerLog::ServerLog(std::function<std::string()> read)
    : read_(std::move(read)), from_(read_().size()) {}

std::uint64_t ServerLog::count(const std::string& text) const {
  std::istringstream log(read_());
  log.seekg(static_cast<std::streamoff>(from_));
  std::uint64_t lines = 0;
  for (std::string line; std::getline(log, line);) {
    if (line.find(text) != std::string::npos) ++lines;
  }
  return lines;
}

}  // namespace weir::demo
