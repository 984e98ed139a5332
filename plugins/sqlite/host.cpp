#include "host.h"

namespace weir::sqlite::host {
namespace {

const weir_host_t* services = nullptr;

}  // namespace

void remember(const weir_host_t* table) { services = table; }

std::uint64_t now_ns() { return services->now_ns(services->host_data); }

}  // namespace weir::sqlite::host
