// The network as a library: call Setup once, then Classify for each image.
#ifndef @MODEL@_H_
#define @MODEL@_H_

#include <cstddef>
#include <cstdint>

namespace @model@ {

// An image has one byte for each value, 0..255, in the order height, width, channels: the rows from
// the top, in each row the pixels from the left, and for each pixel:
// @pixel@.
// The model card, README.md of the bundle, describes how a picture becomes an image.
constexpr std::size_t kImageHeight = @height@;
constexpr std::size_t kImageWidth = @width@;
constexpr std::size_t kImageChannels = @channels@;
constexpr std::size_t kImageBytes = kImageHeight * kImageWidth * kImageChannels;

constexpr std::size_t kClassCount = @classes@;
extern const char* const kClassNames[kClassCount];  // in UTF-8

// Bytes of the tensor arena for the reference kernels of TensorFlow Lite Micro, and for CMSIS-NN.
// The second is the default and is sufficient for both. Define the macro @MODEL@_ARENA_BYTES to
// set another size.
constexpr std::size_t kReferenceArenaBytes = @reference_arena@;
constexpr std::size_t kCmsisNnArenaBytes = @cmsis_nn_arena@;

// Prepares the network at the first call. Each call returns nullptr if this succeeded, otherwise the
// error message.
const char* Setup();

// Returns the class of an image of kImageBytes bytes, an index into kClassNames; -1 if Setup did
// not succeed or an operator fails. It is not thread-safe, because there is one arena.
int Classify(const std::uint8_t* pixels);

// Returns the kClassCount logits of the last image, or nullptr if Setup did not succeed. The logit
// of an int8 value is kLogitScale * (value - kLogitZeroPoint).
const std::int8_t* Logits();
constexpr float kLogitScale = @logit_scale@f;
constexpr int kLogitZeroPoint = @logit_zero_point@;

// Returns the bytes of the arena that are in use, or 0 if Setup did not succeed.
std::size_t ArenaUsedBytes();

}  // namespace @model@

#endif  // @MODEL@_H_
