#include "@model@.h"

#include <algorithm>
#include <cstring>

#include "model_data.h"
#include "op_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

// Libraries for Arduino cannot be given a macro; those of TensorFlow Lite Micro do without it.
#if !defined(TF_LITE_STATIC_MEMORY) && !defined(ARDUINO)
#error "Define TF_LITE_STATIC_MEMORY for all source files, those of TensorFlow Lite Micro included"
#endif

namespace @model@ {

const char* const kClassNames[kClassCount] = {
@class_names@
};

namespace {

#ifdef @MODEL@_ARENA_BYTES
constexpr std::size_t kArenaBytes = @MODEL@_ARENA_BYTES;
#else
constexpr std::size_t kArenaBytes = kCmsisNnArenaBytes;
#endif

alignas(16) std::uint8_t arena[kArenaBytes];
tflite::MicroInterpreter* interpreter = nullptr;  // not null after Setup has succeeded

// Prepares the network; returns nullptr or an error message.
const char* Prepare() {
  const tflite::Model* model = tflite::GetModel(kModel);
  if (model->version() != TFLITE_SCHEMA_VERSION) return "the schema has another version";

  static OpResolver resolver;
  if (RegisterOps(resolver) != kTfLiteOk) return "an operator is missing";

  static tflite::MicroInterpreter network(model, resolver, arena, kArenaBytes);
  if (network.AllocateTensors() != kTfLiteOk) return "the arena is too small";
  if (network.input(0)->bytes != kImageBytes || network.output(0)->bytes != kClassCount) {
    return "the tensors have other sizes";
  }
  interpreter = &network;
  return nullptr;
}

}  // namespace

const char* Setup() {
  // Operators cannot be registered twice.
  static const char* const fault = Prepare();
  return fault;
}

int Classify(const std::uint8_t* pixels) {
  if (interpreter == nullptr) return -1;
  std::memcpy(interpreter->input(0)->data.raw, pixels, kImageBytes);
  if (interpreter->Invoke() != kTfLiteOk) return -1;
  const std::int8_t* logits = Logits();
  return static_cast<int>(std::max_element(logits, logits + kClassCount) - logits);
}

const std::int8_t* Logits() {
  return interpreter == nullptr ? nullptr : interpreter->output(0)->data.int8;
}

std::size_t ArenaUsedBytes() {
  return interpreter == nullptr ? 0 : interpreter->arena_used_bytes();
}

}  // namespace @model@
