#include "query.h"

namespace weir::postgres {

Progress Query::start(PGconn* conn, const char* statement, const char* doing, Rows rows,
                      Failure* failure) {
  conn_ = conn;
  doing_ = doing;
  is_flushed_ = false;
  error_.reset();
  result_.reset();
  if (PQsetnonblocking(conn, 1) != 0 || PQsendQuery(conn, statement) == 0) return lost(failure);
  if (rows == Rows::kDiscard) PQsetSingleRowMode(conn);  // never more than one row in memory
  return Progress::kWantWrite;
}

Progress Query::step(Failure* failure) {
  if (is_flushed_) return read_answers(failure);
  const int unsent = PQflush(conn_);
  if (unsent < 0) return lost(failure);
  if (unsent > 0) return Progress::kWantWrite;
  is_flushed_ = true;
  return Progress::kWantRead;  // nothing can have been answered yet
}

Progress Query::read_answers(Failure* failure) {
  if (PQconsumeInput(conn_) == 0) return lost(failure);
  while (PQisBusy(conn_) == 0) {
    ResultPtr answer(PQgetResult(conn_), &PQclear);
    if (answer == nullptr) {
      if (PQstatus(conn_) != CONNECTION_OK) return lost(failure);
      PQsetnonblocking(conn_, 0);
      return Progress::kDone;
    }
    switch (PQresultStatus(answer.get())) {
      case PGRES_COPY_IN:
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH:
        *failure = {
            WEIR_NOT_SUPPORTED,
            "postgres: " + std::string(doing_) + ": COPY from or to the client cannot be run here",
            {}};
        return Progress::kFailed;
      case PGRES_FATAL_ERROR:
      case PGRES_BAD_RESPONSE:
        if (error_ == nullptr) error_ = std::move(answer);
        break;
      default:
        if (result_ == nullptr) result_ = std::move(answer);
        break;
    }
  }
  return Progress::kWantRead;
}

Progress Query::lost(Failure* failure) const {
  // What the server said last, if it did, explains more than libpq's "connection closed".
  *failure =
      error_ != nullptr ? statement_failure(error_.get(), conn_) : lost_connection(conn_, doing_);
  failure->code = WEIR_CONNECTION_BROKEN;
  return Progress::kFailed;
}

}  // namespace weir::postgres
