#include "image.h"

#include <algorithm>
#include <cmath>

namespace lstd {
namespace {

struct Place {
  int lower, upper;
  float upper_weight;
};

// Returns where each pixel of an axis reads; in float, where rounding can move a place.
std::vector<Place> Places(int size_in, int size_out) {
  const float scale = static_cast<float>(size_in) / static_cast<float>(size_out);
  std::vector<Place> places;
  for (int i = 0; i < size_out; ++i) {
    const float at = static_cast<float>(i) * scale;
    const int lower = std::min(static_cast<int>(std::floor(at)), size_in - 1);
    places.push_back({lower, std::min(lower + 1, size_in - 1), at - static_cast<float>(lower)});
  }
  return places;
}

}  // namespace

std::vector<float> Fit(const Frame& frame, int height, int width, int channels) {
  const std::vector<Place> rows = Places(frame.height, height);
  const std::vector<Place> columns = Places(frame.width, width);
  const auto pixel = [&frame](int row, int column, int channel) {
    return static_cast<float>(frame.rgb[(static_cast<size_t>(row) * frame.width + column) * 3 + channel]);
  };
  std::vector<float> image(static_cast<size_t>(height) * width * channels);
  size_t next = 0;
  for (const Place& row : rows) {
    for (const Place& column : columns) {
      float rgb[3];
      for (int channel = 0; channel < 3; ++channel) {
        float lines[2];
        for (const int line : {0, 1}) {
          const int at = line == 0 ? row.lower : row.upper;
          const float left = pixel(at, column.lower, channel);
          lines[line] = left + (pixel(at, column.upper, channel) - left) * column.upper_weight;
        }
        rgb[channel] = lines[0] + (lines[1] - lines[0]) * row.upper_weight;
      }
      if (channels == 1) {
        image[next++] = 0.2989f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
      } else {
        for (const float value : rgb) image[next++] = value;
      }
    }
  }
  return image;
}

}  // namespace lstd
