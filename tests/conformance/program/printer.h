// What weir-conformance prints: a line for each test, why one failed, and at the end what was
// skipped and for want of what. Threads: GoogleTest's, one at a time.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace weir::test {

class Printer final : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& part) override;
  void OnTestEnd(const testing::TestInfo& test) override;
  void OnTestProgramEnd(const testing::UnitTest& all) override;

 private:
  std::string skipped_;  // why the test that runs is
  std::string failures_;
  std::map<std::string, std::vector<std::string>> skipped_for_;  // tests by reason
  std::map<std::string, int> unchecked_;  // what tests that ran could not check, by reason
};

/// "ConnectsAUsableSession": without what GoogleTest adds for a suite with parameters.
[[nodiscard]] std::string plain_name(const testing::TestInfo& test);

}  // namespace weir::test
