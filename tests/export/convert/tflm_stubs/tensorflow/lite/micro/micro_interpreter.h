// Declares what the exported sources use of TensorFlow Lite Micro, to compile them without it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

static_assert(__cplusplus >= 201703L, "TensorFlow Lite Micro needs C++17");

union TfLitePtrUnion {
  char* raw;
  std::int8_t* int8;
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
  MicroInterpreter(const Model*, const OpResolver&, std::uint8_t*, std::size_t tensor_arena_size)
      : arena_size_(tensor_arena_size) {}
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(std::size_t index);
  TfLiteTensor* output(std::size_t index);
  std::size_t arena_used_bytes() const;

 private:
  std::size_t arena_size_;
  bool allocated_ = false;
};

}  // namespace tflite
