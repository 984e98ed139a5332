#include "policy/script_source.h"

#include <cerrno>
#include <cstdio>
#include <memory>

#include "policy/lua_sandbox.h"

namespace weir::policy {

Result<std::string> read_script(const std::string& path) {
  const auto failed = [&](int error) { return Status::system_error("policy " + path, error); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) {
    if (errno == ENOENT)
      return Status(Code::kNotFound, path + ": expected a script, found no file");
    return failed(errno);
  }
  std::string source(LuaSandbox::kLongestSource + 1, '\0');
  errno = 0;
  source.resize(std::fread(source.data(), 1, source.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed(errno);  // e.g. it is a folder
  return source;
}

}  // namespace weir::policy
