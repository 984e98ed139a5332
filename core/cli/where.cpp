#include "cli/where.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/render.h"

namespace weir::cli {
namespace {

namespace fs = std::filesystem;

void add_segments_in(const fs::path& folder, std::vector<std::string>& found) {
  std::error_code ignored;  // a folder that is not there or not ours to read holds nothing for us
  for (const fs::directory_entry& file : fs::directory_iterator(folder, ignored)) {
    if (file.path().extension() == ".weir") found.push_back(file.path().string());
  }
}

bool is_users_folder(const std::string& name) {
  constexpr std::string_view kPrefix = "weir-";
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string::npos;
}

std::string what_to_do(Code code, bool changes) {
  switch (code) {
    case Code::kNotFound: {
      std::string text =
          "start a worker, or name another segment with --config, or --folder and "
          "--segment";
      const std::vector<std::string> others = segments_in_reach();
      for (std::size_t i = 0; i < others.size(); ++i) {
        text += (i == 0 ? "; in reach: " : ", ") + others[i];
      }
      return text;
    }
    case Code::kShmIncompatible:
      return "use the weir command of the version that the workers use";
    case Code::kShmCorrupt:
      return "once no worker uses it any more, the next one to start makes a new one";
    case Code::kNoPermission:
      return changes ? "run it as the user that the workers run as"
                     : "look as the user that the workers run as, or as root";
    default:
      return {};
  }
}

Result<std::unique_ptr<shm::Segment>> advised(Result<std::unique_ptr<shm::Segment>> opened,
                                              bool changes) {
  if (opened.ok()) return opened;
  const std::string advice = what_to_do(opened.status().code(), changes);
  if (advice.empty()) return opened.status();
  return Status(opened.status().code(), opened.status().message() + "; " + advice);
}

}  // namespace

Result<Target> resolve(const Where& where) {
  Target target;
  if (!where.config.empty()) {
    Result<config::Loaded> loaded = config::load_config_file(where.config);
    if (!loaded.ok()) return loaded.status();
    target.config = std::move(loaded).value().config;
    target.segment.folder = target.config->folder;
    target.segment.name = target.config->segment;
  }
  if (!where.folder.empty()) target.segment.folder = where.folder;
  if (!where.segment.empty()) target.segment.name = where.segment;
  return target;
}

const config::PoolConfig* Target::pool(const std::string& name) const {
  if (!config) return nullptr;
  const auto found = std::find_if(config->pools.begin(), config->pools.end(),
                                  [&](const auto& pool) { return pool.name == name; });
  return found == config->pools.end() ? nullptr : &*found;
}

Result<std::string> choose_pool(const std::vector<std::string>& pools, const std::string& asked) {
  std::string names;
  for (const std::string& pool : pools) {
    if (pool == asked) return asked;
    names += (names.empty() ? "" : ", ") + printable(pool);
  }
  if (asked.empty() && pools.size() == 1) return pools.front();
  return Status(Code::kNotFound, "--pool: expected one of " + (names.empty() ? "none" : names) +
                                     ", found " + (asked.empty() ? "nothing" : printable(asked)));
}

Result<std::string> choose_pool(const shm::Snapshot& snapshot, const std::string& asked) {
  std::vector<std::string> names;
  for (const shm::PoolSnapshot& pool : snapshot.pools) names.push_back(pool.name);
  return choose_pool(names, asked);
}

Result<std::unique_ptr<shm::Segment>> open_segment(const shm::SegmentOptions& options) {
  return advised(shm::Segment::open_read_only(options), false);
}

Result<std::unique_ptr<shm::Segment>> open_segment_to_change(const shm::SegmentOptions& options) {
  return advised(shm::Segment::open_existing(options), true);
}

// Most often one looks as the wrong user.
std::vector<std::string> segments_in_reach() {
  std::vector<std::string> found;
  add_segments_in("/run/weir", found);
  std::error_code ignored;
  for (const fs::directory_entry& folder : fs::directory_iterator("/dev/shm", ignored)) {
    if (is_users_folder(folder.path().filename().string())) add_segments_in(folder.path(), found);
  }
  return found;
}

std::uint64_t unix_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Nanos>(now).count());
}

}  // namespace weir::cli
