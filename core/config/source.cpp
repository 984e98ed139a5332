#include "config/source.h"

namespace weir::config {

std::string Source::text() const {
  switch (kind) {
    case Kind::kDefault:
      return "default";
    case Kind::kPreset:
      return "preset " + name;
    case Kind::kFile:
      return name + ":" + std::to_string(line);
    case Kind::kAlias:
    case Kind::kEnvironment:
      break;
  }
  return name;
}

const char* kind_name(Source::Kind kind) {
  switch (kind) {
    case Source::Kind::kDefault:
      return "default";
    case Source::Kind::kPreset:
      return "preset";
    case Source::Kind::kFile:
      return "file";
    case Source::Kind::kAlias:
      return "alias";
    case Source::Kind::kEnvironment:
      break;
  }
  return "environment";
}

}  // namespace weir::config
