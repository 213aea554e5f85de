// The self-test: golden images, and their expected output bytes.
#ifndef @MODEL@_SELF_TEST_H_
#define @MODEL@_SELF_TEST_H_

#include <cstddef>

namespace @model@ {

constexpr std::size_t kGoldenCount = @golden_count@;

// Calls Setup and classifies the golden images. Returns nullptr if every output byte is as
// expected, otherwise an error message. A program that does not call it does not contain the golden
// images.
const char* SelfTest();

}  // namespace @model@

#endif  // @MODEL@_SELF_TEST_H_
