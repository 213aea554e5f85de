// Declares what the exported sketch uses of Arduino's core, to compile it without it.
#pragma once

struct SerialPort {
  void begin(unsigned long baud);
  void print(const char* text);
  void println(const char* text);
  void println(unsigned number);
  explicit operator bool() const;
};

extern SerialPort Serial;

void setup();
void loop();
