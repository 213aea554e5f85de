#include "golden.h"

namespace @model@ {

const std::uint8_t kGoldenInputs[kGoldenCount][kImageBytes] = {
@golden_inputs@
};

const std::int8_t kGoldenOutputs[kGoldenCount][kClassCount] = {
@golden_outputs@
};

}  // namespace @model@
