// FileDescriptor: an open descriptor with an owner.
// Threads: each object belongs to one. Fork: a child's copy closes the child's descriptor only.
#pragma once

#include <unistd.h>

#include <utility>

namespace weir {

/// Closed by its destructor. Owns nothing when made without a descriptor, or after release().
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace weir
