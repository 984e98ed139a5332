#include "driver/password_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_descriptor.h"

namespace weir::driver {
namespace {

constexpr std::size_t kMostBytes = 4096;

Status refuse(const std::string& path, const std::string& why) {
  return {Code::kAuthFailed, "password_file " + path + ": " + why};
}

}  // namespace

Result<std::string> read_password_file(const std::string& path) {
  const auto failed = [&](int error_number) {
    return refuse(path, Status::system_error("cannot be read", error_number).message());
  };
  // Not blocking: a pipe without a writer is refused below instead of waited for.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return failed(errno);
  struct stat about {};
  if (fstat(file.get(), &about) != 0) return failed(errno);
  if (!S_ISREG(about.st_mode)) return refuse(path, "expected a file, found something else");

  std::string text(kMostBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > kMostBytes) {
    wipe(text);
    return refuse(path, "expected at most " + std::to_string(kMostBytes) + " bytes, found more");
  }
  if (size > 0 && text[size - 1] == '\n') --size;
  if (size > 0 && text[size - 1] == '\r') --size;
  std::string password = text.substr(0, size);
  wipe(text);
  if (password.empty()) return refuse(path, "expected a password, found nothing");
  if (password.find_first_of(std::string("\n\r\0", 3)) != std::string::npos) {
    wipe(password);
    return refuse(path, "expected one line of text, found line breaks or zero bytes");
  }
  return password;
}

void wipe(std::string& password) {
  explicit_bzero(password.data(), password.size());
  password.clear();
}

}  // namespace weir::driver
