// The header by which the Arduino builder finds TensorFlow Lite Micro.
#pragma once
