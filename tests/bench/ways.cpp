#include "bench/ways.h"

#include <libpq-fe.h>

#include <cstdio>
#include <utility>

namespace weir::bench {
namespace {

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

std::string run_on(PGconn* connection, const char* sql) {
  PGresult* const result = PQexec(connection, sql);
  const ExecStatusType status = PQresultStatus(result);
  PQclear(result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return {};
  const std::string error = PQerrorMessage(connection);
  return error.empty() ? "the query failed" : error;
}

class LibpqCaller final : public Caller {
 public:
  explicit LibpqCaller(const std::string& conninfo) : conninfo_(conninfo) {}
  std::string run(const char* sql) override {
    if (connection_ == nullptr) {
      connection_.reset(PQconnectdb(conninfo_.c_str()));
      if (PQstatus(connection_.get()) != CONNECTION_OK) {
        std::string error = PQerrorMessage(connection_.get());
        connection_.reset();
        return error;
      }
    }
    std::string error = run_on(connection_.get(), sql);
    if (PQstatus(connection_.get()) != CONNECTION_OK) connection_.reset();
    return error;
  }

 private:
  const std::string& conninfo_;
  std::unique_ptr<PGconn, Finish> connection_;
};

class LibpqWay final : public Way {
 public:
  explicit LibpqWay(std::string conninfo) : conninfo_(std::move(conninfo)) {}
  std::unique_ptr<Caller> caller() override { return std::make_unique<LibpqCaller>(conninfo_); }

 private:
  const std::string conninfo_;
};

class WeirCaller final : public Caller {
 public:
  explicit WeirCaller(const Pool& pool) : pool_(pool) {}
  std::string run(const char* sql) override {
    try {
      Lease lease = pool_.acquire();
      std::string error = run_on(lease.native<PGconn>(), sql);
      lease.release();
      return error;
    } catch (const Error& error) {
      return error.what();
    }
  }

 private:
  Pool pool_;
};

class WeirWay final : public Way {
 public:
  explicit WeirWay(Runtime& runtime) : runtime_(runtime) {}
  ~WeirWay() override {
    try {
      runtime_.close();
    } catch (const Error& error) {
      std::fprintf(stderr, "weir: %s\n", error.what());
    }
  }
  std::unique_ptr<Caller> caller() override {
    return std::make_unique<WeirCaller>(runtime_.pool("main"));
  }

 private:
  Runtime& runtime_;
};

}  // namespace

std::unique_ptr<Way> connect_by_libpq(std::string conninfo) {
  return std::make_unique<LibpqWay>(std::move(conninfo));
}

std::unique_ptr<Way> lease_from_weir(Runtime& runtime) {
  return std::make_unique<WeirWay>(runtime);
}

}  // namespace weir::bench
