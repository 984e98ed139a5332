#include "policy/file_policy.h"

#include "policy/script_source.h"

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
  read();
}

// Looked at before it is read: what changes meanwhile is found at the next tick.
void FilePolicy::read() {
  const Result<std::string> source = read_script(path_);
  if (!source.ok()) return note(source.status());
  static_cast<void>(load(source.value(), path_, params_));  // what is wrong with it is in status()
}

}  // namespace weir::policy
