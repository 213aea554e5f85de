// Runs the self-test and prints its result to the serial monitor.

// The Arduino builder finds TensorFlow Lite Micro by this header; use that of your library.
#include <Chirale_TensorFlowLite.h>

#include <@model@.h>
#include <@model@_self_test.h>

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  if (const char* fault = @model@::SelfTest()) {
    Serial.print("FAILED: ");
    Serial.println(fault);
    return;
  }
  Serial.print("PASSED, bytes of the arena used: ");
  Serial.println(static_cast<unsigned>(@model@::ArenaUsedBytes()));
}

void loop() {}
