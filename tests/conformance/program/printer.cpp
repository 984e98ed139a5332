#include "conformance/program/printer.h"

#include <cstdio>

namespace weir::test {

std::string plain_name(const testing::TestInfo& test) {
  const std::string name = test.name();
  return name.substr(0, name.find('/'));
}

void Printer::OnTestPartResult(const testing::TestPartResult& part) {
  if (part.skipped()) skipped_ = part.message();
  if (!part.failed()) return;
  // The whole path is of the machine that this was built on.
  const std::string file = part.file_name() != nullptr ? part.file_name() : "";
  failures_ += "     " + file.substr(file.rfind('/') + 1) + ":" +
               std::to_string(part.line_number()) + ": " + part.message() + "\n";
}

void Printer::OnTestEnd(const testing::TestInfo& test) {
  const std::string name = plain_name(test);
  const bool has_failed = test.result()->Failed();
  if (has_failed) {
    std::printf("FAIL %s\n%s", name.c_str(), failures_.c_str());
  } else if (test.result()->Skipped()) {
    while (!skipped_.empty() && skipped_.back() == '\n') skipped_.pop_back();
    std::printf("skip %s: %s\n", name.c_str(), skipped_.c_str());
    skipped_for_[skipped_].push_back(name);
  } else {
    std::printf("ok   %s\n", name.c_str());
    for (int i = 0; i < test.result()->test_property_count(); ++i) {
      ++unchecked_[test.result()->GetTestProperty(i).value()];
    }
  }
  std::fflush(stdout);
  skipped_.clear();
  failures_.clear();
}

void Printer::OnTestProgramEnd(const testing::UnitTest& all) {
  if (!skipped_for_.empty()) std::printf("\nskipped:\n");
  for (const auto& [why, tests] : skipped_for_) {
    std::printf("  %s\n", why.c_str());
    for (const std::string& test : tests) std::printf("    %s\n", test.c_str());
  }
  if (!unchecked_.empty()) std::printf("\nnot counted in tests that ran:\n");
  for (const auto& [why, count] : unchecked_) {
    std::printf("  sessions on the server, in %d: %s\n", count, why.c_str());
  }
  std::printf("\n%d ok, %d failed, %d skipped\n", all.successful_test_count(),
              all.failed_test_count(), all.skipped_test_count());
}

}  // namespace weir::test
