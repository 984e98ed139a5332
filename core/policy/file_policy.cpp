#include "policy/file_policy.h"

#include <cerrno>
#include <fstream>

namespace weir::policy {

FilePolicy::Look FilePolicy::look_at(const std::string& path) {
  Look look;
  look.time = std::filesystem::last_write_time(path, look.error);
  if (!look.error) look.size = std::filesystem::file_size(path, look.error);
  return look;
}

void FilePolicy::follow(const std::string& path, const Params& params, bool asked) {
  if (path.empty()) {
    if (!path_.empty()) unload();
    path_.clear();
    return;
  }
  const Look look = look_at(path);
  const bool same = path == path_ && params == params_ && look == seen_;
  if (same && !asked) return;
  path_ = path;
  params_ = params;
  seen_ = look;
  if (look.error) return note(Status::system_error("policy " + path_, look.error.value()));
  read();
}

// Looked at before it is read: what changes meanwhile is found at the next tick.
void FilePolicy::read() {
  std::ifstream file(path_, std::ios::binary);
  // One more than is taken, for the script to be refused as too long.
  std::string source(LuaSandbox::kLongestSource + 1, '\0');
  errno = 0;
  if (file) file.read(source.data(), static_cast<std::streamsize>(source.size()));
  if (!file.is_open() || file.bad()) return note(Status::system_error("policy " + path_, errno));
  source.resize(static_cast<std::size_t>(file.gcount()));
  static_cast<void>(load(source, path_, params_));  // what is wrong with it is in status()
}

}  // namespace weir::policy
