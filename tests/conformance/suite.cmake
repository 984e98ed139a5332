# The suite for drivers, compiled once for every program that holds it: weir-conformance and one test
# for each driver. What the test of a driver adds is a DriverUnderTest and what only that driver promises.
include_guard(GLOBAL)

set(suite suite.cpp dsn_test.cpp life_test.cpp trouble_test.cpp outside_test.cpp server_test.cpp
          handover_test.cpp)
list(TRANSFORM suite PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
add_library(weir_driver_suite OBJECT ${suite})
target_compile_options(weir_driver_suite PRIVATE ${WEIR_WARNINGS})
target_include_directories(weir_driver_suite PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/core)
target_link_libraries(weir_driver_suite PUBLIC weir_driver GTest::gtest)
