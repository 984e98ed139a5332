#include "config/environment.h"

#include <unistd.h>

#include <string_view>

namespace weir::config {

Environment Environment::of_process() {
  std::map<std::string, std::string> variables;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const std::string_view text = *one;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    // The first of two with one name is the one that getenv answers.
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return Environment(std::move(variables));
}

const std::string* Environment::find(const std::string& name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() || found->second.empty() ? nullptr : &found->second;
}

}  // namespace weir::config
