// Runs the self-test and prints its result: exit status 0 if every output byte is as expected.

#include <cstdio>

#include "@model@.h"
#include "@model@_self_test.h"
#include "tensorflow/lite/micro/system_setup.h"

int main() {
  tflite::InitializeTarget();
  if (const char* fault = @model@::SelfTest()) {
    std::printf("FAILED: %s\n", fault);
    return 1;
  }
  // newlib-nano, the C library of many boards, cannot print a size_t.
  std::printf("PASSED: %u golden images, %u bytes of the arena used\n",
              static_cast<unsigned>(@model@::kGoldenCount),
              static_cast<unsigned>(@model@::ArenaUsedBytes()));
  return 0;
}
