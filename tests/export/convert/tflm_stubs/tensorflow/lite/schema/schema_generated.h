// Declares what the exported sources use of TensorFlow Lite Micro, to compile them without it.
#pragma once

#define TFLITE_SCHEMA_VERSION (3)

namespace tflite {

struct Model {
  unsigned int version() const;
};

const Model* GetModel(const void* buffer);

}  // namespace tflite
