// The segment as a file: making it whole, checking it, replacing it when nobody uses it. Segment
// maps what these functions let through. Threads: any; the file system serialises. All of them do
// file system calls and may block on them.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/status.h"
#include "shm/layout.h"

namespace weir::shm {

/// What the header of a file says, found fit to be mapped.
struct CheckedFile {
  FileDescriptor fd;
  Geometry geometry;
};

/// Makes `folder` if it is missing (0700) and refuses one that others could write to.
Status prepare_folder(const std::string& folder);

/// Whether the file `path` lies in a folder of root's that a group may write to, and is that
/// group's: its members were let in by root and trust each other.
[[nodiscard]] bool is_shared_by_group(const std::string& path);

/// Opens `path`, creating it if missing and rebuilding it if it is unusable and nobody is attached.
/// The descriptor returned holds the gate byte shared, so that nobody rebuilds under it.
Result<CheckedFile> open_or_create(const std::string& path, const Geometry& geometry,
                                   Deadline deadline);

/// Opens `path` to change what is in it, as open_or_create, but creates and rebuilds nothing:
/// kNotFound if missing; what is wrong with it is refused, a poisoned segment too.
Result<CheckedFile> open_existing(const std::string& path, Deadline deadline);

/// Opens `path` read-only and checks it; a poisoned segment passes. Takes no lock, changes nothing.
/// kNotFound if missing.
Result<CheckedFile> open_existing_read_only(const std::string& path);

}  // namespace weir::shm
