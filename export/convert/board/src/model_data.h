#ifndef @MODEL@_MODEL_DATA_H_
#define @MODEL@_MODEL_DATA_H_

#include <cstddef>

namespace @model@ {

// The LiteRT file.
constexpr std::size_t kModelBytes = @model_bytes@;
alignas(16) extern const unsigned char kModel[kModelBytes];

}  // namespace @model@

#endif  // @MODEL@_MODEL_DATA_H_
