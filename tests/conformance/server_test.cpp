// What a driver tells about its server.
#include <algorithm>
#include <string>
#include <vector>

#include "conformance/suite.h"

namespace weir::test {
namespace {

void keep(void* context, const weir_session_t* session) {
  static_cast<std::vector<weir_session_t>*>(context)->push_back(*session);
}

}  // namespace

TEST_P(DriverSuite, TellsTheServersLimits) {
  Connection connection = connect();
  weir_server_limits_t limits{};
  limits.struct_size = sizeof limits;
  if (!is_answered(connection, WEIR_OP_LIMITS, &limits)) return;
  EXPECT_GT(limits.max_connections, 0);
  EXPECT_GE(limits.reserved, 0);
  EXPECT_LT(limits.reserved, limits.max_connections);
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
}

TEST_P(DriverSuite, TellsHowManySessionsDoWhat) {
  WEIR_NEEDS(Means::kTransaction);
  Connection asking = connect();
  Connection idle = connect();
  Connection in_transaction = connect();
  subject().leave_transaction(in_transaction.native());
  weir_server_activity_t activity{};
  activity.struct_size = sizeof activity;
  if (!is_answered(asking, WEIR_OP_ACTIVITY, &activity)) return;
  EXPECT_GE(activity.total, 3);
  EXPECT_GE(activity.longest_query_ms, -1);
  EXPECT_LT(activity.longest_query_ms, 60'000);
}

TEST_P(DriverSuite, DescribesEachSession) {
  WEIR_NEEDS(Means::kSessionNumber);
  Connection asking = connect(WEIR_RESET_TRACKED, "asking");
  Connection idle = connect(WEIR_RESET_TRACKED, "idle one");
  std::vector<weir_session_t> found;
  weir_sessions_t request{sizeof request, &keep, &found};
  if (!is_answered(asking, WEIR_OP_SESSIONS, &request)) return;
  const std::string name = subject().shown_name("idle one");
  const auto described = std::find_if(found.begin(), found.end(), [&](const weir_session_t& s) {
    return std::string(s.client_name) == name;
  });
  ASSERT_NE(described, found.end());
  EXPECT_EQ(described->server_pid, subject().session_of(idle.native()));
  EXPECT_GE(described->state_ms, 0);
  EXPECT_STRNE(described->state, "");
}

TEST_P(DriverSuite, RefusesAQuestionWithoutRoomForTheAnswer) {
  Connection connection = connect();
  for (const weir_op op : {WEIR_OP_EXECUTE, WEIR_OP_CONFIRM_GONE, WEIR_OP_LIMITS, WEIR_OP_ACTIVITY,
                           WEIR_OP_SESSIONS}) {
    std::uint32_t too_small = sizeof too_small;  // stands where struct_size would
    for (void* argument : {static_cast<void*>(nullptr), static_cast<void*>(&too_small)}) {
      EXPECT_EQ(heard(connection.run(op, argument, soon())).code(), Code::kBadArgument) << op;
    }
  }
  EXPECT_EQ(connection.condition(WEIR_LOOK_AT_SOCKET), 0U);
}

}  // namespace weir::test
