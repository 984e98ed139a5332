#include "host.h"

namespace weir::redis::host {
namespace {

const weir_host_t* services = nullptr;

}  // namespace

void remember(const weir_host_t* table) { services = table; }

std::uint64_t now_ns() { return services->now_ns(services->host_data); }

void warn(const char* line) { services->log(services->host_data, WEIR_LOG_WARN, line); }

}  // namespace weir::redis::host
