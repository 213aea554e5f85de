#include "@model@_self_test.h"

#include <cstring>

#include "@model@.h"
#include "golden.h"

namespace @model@ {

const char* SelfTest() {
  if (const char* fault = Setup()) return fault;
  for (std::size_t i = 0; i < kGoldenCount; ++i) {
    if (Classify(kGoldenInputs[i]) < 0) return "an operator failed";
    if (std::memcmp(Logits(), kGoldenOutputs[i], kClassCount) != 0) {
      return "an output differs from the expected bytes";
    }
  }
  return nullptr;
}

}  // namespace @model@
