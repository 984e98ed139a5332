#include "driver/plugin_path.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace weir::driver {

std::vector<std::string> default_plugin_path() {
  Dl_info here{};
  if (dladdr(reinterpret_cast<const void*>(&default_plugin_path), &here) == 0) return {};
  std::error_code error;
  // A library is named by its path, the program itself by argv[0], which may be a bare name.
  const std::string_view name = here.dli_fname;
  const std::filesystem::path file = std::filesystem::canonical(
      name.find('/') == std::string_view::npos ? "/proc/self/exe" : name, error);
  if (error) return {};
  const std::filesystem::path folder = file.parent_path();
  std::vector<std::string> folders = {(folder / "weir" / "plugins").string(),
                                      (folder.parent_path() / "lib/weir/plugins").string()};
  const std::string installed = (folder.parent_path() / WEIR_LIBDIR / "weir/plugins").string();
  if (std::find(folders.begin(), folders.end(), installed) == folders.end()) {
    folders.push_back(installed);  // such as ../lib/x86_64-linux-gnu/weir/plugins
  }
  return folders;
}

}  // namespace weir::driver
