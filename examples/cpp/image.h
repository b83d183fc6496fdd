// Raw frames to the size of a network, as lstd resizes them in training.

#ifndef LSTD_IMAGE_H_
#define LSTD_IMAGE_H_

#include <cstdint>
#include <vector>

namespace lstd {

struct Frame {
  int height = 0, width = 0;
  std::vector<uint8_t> rgb;  // height * width * 3
};

// Returns height * width * channels numbers from 0 to 255; channels is 1 (grey) or 3 (RGB).
//
// Bilinear as TensorFlow 1 did it: pixel i reads the frame at i * in / out, without an offset of
// half a pixel, and beyond the border stands the border.
std::vector<float> Fit(const Frame& frame, int height, int width, int channels);

}  // namespace lstd

#endif  // LSTD_IMAGE_H_
