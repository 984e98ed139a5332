#include "cli/conformance_command.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/status.h"

namespace weir::cli {

ExitCode run_conformance(char** arguments) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::canonical("/proc/self/exe", error);
  const std::string program =
      (self.parent_path().parent_path() / WEIR_LIBEXECDIR "/weir/weir-conformance").string();
  std::vector<char*> command = {const_cast<char*>(program.c_str())};
  for (; *arguments != nullptr; ++arguments) command.push_back(*arguments);
  command.push_back(nullptr);
  execv(program.c_str(), command.data());
  const Status status = Status::system_error(program, errno);
  return tell_failure(
      "conformance", errno == ENOENT ? Status(Code::kNotFound, "expected the suite at " + program +
                                                                   ", found nothing: it comes with "
                                                                   "the package weir-dev")
                                     : status);
}

}  // namespace weir::cli
