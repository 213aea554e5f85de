#include "model_data.h"

namespace @model@ {

alignas(16) const unsigned char kModel[kModelBytes] = {
@model_values@
};

}  // namespace @model@
