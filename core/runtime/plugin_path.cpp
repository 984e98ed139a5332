#include "runtime/plugin_path.h"

#include <dlfcn.h>

#include <filesystem>

namespace weir::runtime {

std::vector<std::string> default_plugin_path() {
  Dl_info here{};
  if (dladdr(reinterpret_cast<const void*>(&default_plugin_path), &here) == 0) return {};
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(here.dli_fname, error);
  if (error) return {};
  const std::filesystem::path folder = file.parent_path();
  return {(folder / "weir" / "plugins").string(),
          (folder.parent_path() / "lib" / "weir" / "plugins").string()};
}

}  // namespace weir::runtime
