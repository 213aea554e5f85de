// The self-test: golden images, and the output bytes that the network must compute for them.
#ifndef @MODEL@_SELF_TEST_H_
#define @MODEL@_SELF_TEST_H_

#include <cstddef>

namespace @model@ {

constexpr std::size_t kGoldenCount = @golden_count@;

// Classifies the golden images, after Setup. Returns nullptr if every output byte is as expected,
// otherwise what is wrong. A program that does not call it does not contain the golden images.
const char* SelfTest();

}  // namespace @model@

#endif  // @MODEL@_SELF_TEST_H_
