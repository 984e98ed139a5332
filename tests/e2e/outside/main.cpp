// A program of somebody else's: borrows a connection and asks the server one thing.
// usage: outside WEIR_TOML
#include <libpq-fe.h>

#include <cstdio>
#include <weir/weir.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    weir::Runtime runtime = weir::Runtime::from_file(argv[1]);
    weir::Lease lease = runtime.pool("main").acquire();
    PGresult* result = PQexec(lease.native<PGconn>(), "SELECT 'from ' || current_database()");
    std::puts(PQresultStatus(result) == PGRES_TUPLES_OK ? PQgetvalue(result, 0, 0)
                                                        : PQresultErrorMessage(result));
    PQclear(result);
    return 0;
  } catch (const weir::Error& error) {
    std::fprintf(stderr, "outside: %s\n", error.what());
    return 1;
  }
}
