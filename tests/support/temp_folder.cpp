#include "support/temp_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace weir::test {

TempFolder::TempFolder(const std::string& prefix) : maker_(getpid()) {
  std::string name = (std::filesystem::temp_directory_path() / (prefix + "XXXXXX")).string();
  if (mkdtemp(name.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
  }
  path_ = name;
}

TempFolder::~TempFolder() {
  if (getpid() != maker_) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace weir::test
