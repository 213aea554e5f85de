// The network as a library: Setup once, then Classify every image.
#ifndef @MODEL@_H_
#define @MODEL@_H_

#include <cstddef>
#include <cstdint>

namespace @model@ {

// An image: one byte for each value, 0..255, row by row, the channels of a pixel together.
constexpr std::size_t kImageHeight = @height@;
constexpr std::size_t kImageWidth = @width@;
constexpr std::size_t kImageChannels = @channels@;
constexpr std::size_t kImageBytes = kImageHeight * kImageWidth * kImageChannels;

constexpr std::size_t kClassCount = @classes@;
extern const char* const kClassNames[kClassCount];  // in UTF-8

// Bytes of the tensor arena for the reference kernels of TensorFlow Lite Micro, and for CMSIS-NN's.
// The second is the default and suffices for both; another size is taken from the macro
// @MODEL@_ARENA_BYTES.
constexpr std::size_t kReferenceArenaBytes = @reference_arena@;
constexpr std::size_t kCmsisNnArenaBytes = @cmsis_nn_arena@;

// Prepares the network. Returns nullptr if it is ready, otherwise what is wrong.
const char* Setup();

// Returns the class of an image of kImageBytes bytes, a position in kClassNames; -1 if Setup did
// not succeed or an operator fails. Not thread-safe: there is one arena.
int Classify(const std::uint8_t* pixels);

// Returns the kClassCount logits of the last image, nullptr if Setup did not succeed. A value
// stands for kLogitScale * (value - kLogitZeroPoint).
const std::int8_t* Logits();
constexpr float kLogitScale = @logit_scale@f;
constexpr int kLogitZeroPoint = @logit_zero_point@;

// Returns the bytes of the arena that are in use, 0 if Setup did not succeed.
std::size_t ArenaUsedBytes();

}  // namespace @model@

#endif  // @MODEL@_H_
