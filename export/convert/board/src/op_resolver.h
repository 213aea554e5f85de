// Registers the operators that the network uses, and no others.
#ifndef @MODEL@_OP_RESOLVER_H_
#define @MODEL@_OP_RESOLVER_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace @model@ {

using OpResolver = tflite::MicroMutableOpResolver<@operator_count@>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {
@registrations@
  return kTfLiteOk;
}

}  // namespace @model@

#endif  // @MODEL@_OP_RESOLVER_H_
