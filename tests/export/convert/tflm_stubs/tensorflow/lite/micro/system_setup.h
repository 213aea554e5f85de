// Declares what the exported sources use of TensorFlow Lite Micro, to compile them without it.
#pragma once

namespace tflite {

void InitializeTarget();

}  // namespace tflite
