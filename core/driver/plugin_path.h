// Where drivers are when nothing is configured: weir/plugins beside the file this code is in,
// whether that is libweir.so in lib/ or the command in bin/. Threads: any.
#pragma once

#include <string>
#include <vector>

namespace weir::driver {

[[nodiscard]] std::vector<std::string> default_plugin_path();

}  // namespace weir::driver
