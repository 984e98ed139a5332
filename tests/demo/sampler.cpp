#include "demo/sampler.h"

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "demo/query.h"

namespace weir::demo {

Child start_sampler(const std::string& dsn, const std::string& role, Board& board,
                    std::chrono::microseconds pause) {
  return Child([&board, dsn, role, pause]() -> int {
    const OwnConnection connection(PQconnectdb(dsn.c_str()));
    if (PQstatus(connection.get()) != CONNECTION_OK) {
      throw std::runtime_error(PQerrorMessage(connection.get()));
    }
    board.sampler_backend().store(PQbackendPID(connection.get()));
    const std::string sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role + "'";
    for (;;) {
      const std::uint32_t sessions = query_number(connection.get(), sql.c_str());
      board.server_now().store(sessions);
      board.server_max().store(std::max(sessions, board.server_max().load()));
      board.samples().fetch_add(1);
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
    }
  });
}

}  // namespace weir::demo
