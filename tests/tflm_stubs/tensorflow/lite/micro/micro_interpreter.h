// Declares what the exported sources use of TensorFlow Lite Micro, to compile them without it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

union TfLitePtrUnion {
  char* raw;
};

struct TfLiteTensor {
  TfLitePtrUnion data;
  std::size_t bytes;
};

namespace tflite {

struct Model;

class MicroInterpreter {
 public:
  template <typename OpResolver>
  MicroInterpreter(const Model* model, const OpResolver& resolver, std::uint8_t* tensor_arena,
                   std::size_t tensor_arena_size);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(std::size_t index);
  TfLiteTensor* output(std::size_t index);
};

}  // namespace tflite
