#include "policy/lua_sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>

#include "policy/lua_decision.h"
#include "policy/lua_view.h"

namespace weir::policy {

/// The archive for visit() that reads. The first fault stands, and nothing is read after it.
class SampleReader {
 public:
  /// `sample`: where texts and lists go; null where there are none.
  SampleReader(const LuaValue& value, std::string name, SampleView* sample) : sample_(sample) {
    enter(&value, std::move(name));
  }

  template <typename T>
  void value(const char* name, T& field) {
    const LuaValue* found = look_up(name);
    if (found == nullptr) return;
    const std::string where = path(name);
    if constexpr (std::is_same_v<T, bool>) {
      const bool* flag = std::get_if<bool>(&found->held);
      if (flag == nullptr) return fail(type_error(where, "true or false", found->shown()));
      field = *flag;
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      if (found->text() == nullptr) return fail(type_error(where, "a text", found->shown()));
      field = sample_->texts_.emplace_back(*found->text());
    } else if constexpr (std::is_same_v<T, BreakerState>) {
      const Result<BreakerDecision> state = read_breaker({found, 1});
      if (!state.ok()) return fail(type_error(where, "a state of the breaker", found->shown()));
      field = state.value().state;
    } else if constexpr (std::is_same_v<T, double>) {
      read_number(*found, where, field);
    } else {
      constexpr std::uint64_t kMost =
          std::min<std::uint64_t>(std::numeric_limits<T>::max(), std::uint64_t{1} << 53);
      const Result<std::uint64_t> whole = read_whole(*found, where, kMost);
      if (!whole.ok()) return fail(whole.status());
      field = static_cast<T>(whole.value());
    }
  }
  template <typename T>
  void derived(const char* name, T) {
    if (look_up(name) == nullptr) return;
    fail(type_error(path(name), "nothing, since it is a sum of others", "a value"));
  }
  void open(const char* name) { enter(look_up(name), path(name)); }
  void close() {
    const Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!status_.ok() || frame.table == nullptr) return;
    for (const LuaValue::Entry& entry : *frame.table) {
      const std::string* key = entry.key.text();
      const bool is_known = key != nullptr && std::count(frame.known.begin(), frame.known.end(),
                                                         std::string_view(*key)) != 0;
      if (!is_known)
        return fail({Code::kPolicyType, frame.path + ": no field " + entry.key.shown()});
    }
  }
  template <typename T>
  void list(const char* name, std::span<const T>& elements) {
    const LuaValue* found = look_up(name);
    if (found == nullptr) return;
    if (found->table() == nullptr) return fail(type_error(path(name), "a list", found->shown()));
    auto& storage = storage_of(elements);
    storage.assign(found->table()->size(), T{});
    for (std::size_t i = 0; i < storage.size() && status_.ok(); ++i) {
      const LuaValue::Entry& entry = found->table()->at(i);
      const auto* at = std::get_if<std::int64_t>(&entry.key.held);
      if (at == nullptr || *at != static_cast<std::int64_t>(i) + 1) {
        return fail(type_error(path(name), "a list", "the key " + entry.key.shown()));
      }
      enter(&entry.value, path(name) + "[" + std::to_string(i + 1) + "]");
      visit_fields(*this, storage[i]);
      close();
    }
    elements = storage;
  }
  void state() {
    if (const LuaValue* found = look_up("state")) sample_->state_ = found;
  }

  Status finish() {
    close();
    return status_;
  }

 private:
  struct Frame {
    const LuaValue::Table* table;  // null: not given
    std::string path;
    std::vector<std::string_view> known;
  };

  void enter(const LuaValue* value, std::string name) {
    if (value != nullptr && value->table() == nullptr) {
      fail(type_error(name, "a table", value->shown()));
    }
    frames_.push_back({value == nullptr ? nullptr : value->table(), std::move(name), {}});
  }
  /// The field of the table that is being read; null if it is not given.
  const LuaValue* look_up(const char* name) {
    Frame& frame = frames_.back();
    frame.known.emplace_back(name);
    if (!status_.ok() || frame.table == nullptr) return nullptr;
    for (const LuaValue::Entry& entry : *frame.table) {
      if (entry.key.text() != nullptr && *entry.key.text() == name) return &entry.value;
    }
    return nullptr;
  }
  void read_number(const LuaValue& found, const std::string& where, double& field) {
    double number = NAN;
    if (const auto* fraction = std::get_if<double>(&found.held)) number = *fraction;
    if (const auto* whole = std::get_if<std::int64_t>(&found.held)) {
      number = static_cast<double>(*whole);
    }
    if (!(number >= 0 && std::isfinite(number))) {
      return fail(type_error(where, "a number, at least 0", found.shown()));
    }
    field = number;
  }
  [[nodiscard]] std::string path(const char* name) const {
    return frames_.back().path + "." + name;
  }
  void fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  std::vector<PoolShare>& storage_of(std::span<const PoolShare>) { return sample_->pools_; }
  std::vector<WorkerShare>& storage_of(std::span<const WorkerShare>) { return sample_->workers_; }
  std::vector<ClassShare>& storage_of(std::span<const ClassShare>) { return sample_->classes_; }

  SampleView* sample_;
  std::vector<Frame> frames_;
  Status status_;
};

Status SampleView::read(const LuaValue& view) {
  SampleReader reader(view, "view", this);
  visit(reader, view_);
  return reader.finish();
}

Result<ConnectionView> read_sample_connection(const LuaValue& connection) {
  ConnectionView view;
  SampleReader reader(connection, "conn", nullptr);
  visit_fields(reader, view);
  Status status = reader.finish();
  if (!status.ok()) return status;
  return view;
}

}  // namespace weir::policy
