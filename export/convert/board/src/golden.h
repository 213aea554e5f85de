#ifndef @MODEL@_GOLDEN_H_
#define @MODEL@_GOLDEN_H_

#include "@model@.h"
#include "@model@_self_test.h"

namespace @model@ {

extern const std::uint8_t kGoldenInputs[kGoldenCount][kImageBytes];
extern const std::int8_t kGoldenOutputs[kGoldenCount][kClassCount];

}  // namespace @model@

#endif  // @MODEL@_GOLDEN_H_
