// The sample views of a script's self_check: what a sample does not say is a default.
//
// Defaults: a pool "main" of max 10, keep 10, min 0, an idle timeout of 600,000 ms and a
// handover_after of 10 ms, alone on a quota of 100, with one worker, nothing open and a closed
// breaker; all else 0.
// Threads: a value, which stays where it is: its view points into it.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/lua_value.h"
#include "policy/policy.h"

namespace weir::policy {

class SampleView {
 public:
  SampleView() = default;
  SampleView(const SampleView&) = delete;
  SampleView& operator=(const SampleView&) = delete;

  /// Takes what `view` says, a table like the view, with parts missing. kPolicyType, naming the
  /// field, if there is no such field or it has another type.
  Status read(const LuaValue& view);

  [[nodiscard]] const PoolView& view() const { return view_; }
  /// What it says of view.state; null if nothing.
  [[nodiscard]] const LuaValue* state() const { return state_; }

 private:
  friend class SampleReader;
  PoolView view_{.name = "main",
                 .max = 10,
                 .keep = 10,
                 .idle_timeout_ms = 600'000,
                 .handover_after_ms = 10,
                 .workers = 1,
                 .quota_limit = 100};
  const LuaValue* state_ = nullptr;
  std::deque<std::string> texts_;
  std::vector<PoolShare> pools_;
  std::vector<WorkerShare> workers_;
  std::vector<ClassShare> classes_;
};

/// `conn` of a sample; as SampleView::read().
[[nodiscard]] Result<ConnectionView> read_sample_connection(const LuaValue& connection);

}  // namespace weir::policy
