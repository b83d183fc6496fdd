// Detects objects in raw RGB frames with a .tflite of lstd-export, and prints a line of JSON each.
//
//   ffmpeg -i street.mp4 -f rawvideo -pix_fmt rgb24 - | ./detect model.tflite 1280 720 9
//
// It holds what an app has to hold: the state between two frames, and the schedule.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "image.h"
#include "network.h"

namespace {

constexpr char kUsage[] =
    "usage: detect MODEL.tflite WIDTH HEIGHT [SKIP [FRAMES.rgb]]\n"
    "  SKIP: small frames after each large one (9); FRAMES.rgb: raw RGB24 frames (stdin)\n";

int Whole(const char* text, const char* name, int lowest) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < lowest || value > 100000) {
    throw std::runtime_error(std::string(name) + ": expected a whole number from " +
                             std::to_string(lowest) + " to 100000, got " + text);
  }
  return static_cast<int>(value);
}

// Returns false at the end of the stream; throws where it ends within a frame.
bool ReadFrame(std::istream& stream, lstd::Frame* frame) {
  stream.read(reinterpret_cast<char*>(frame->rgb.data()), static_cast<std::streamsize>(frame->rgb.size()));
  if (stream.gcount() == 0) return false;
  if (static_cast<size_t>(stream.gcount()) != frame->rgb.size()) {
    throw std::runtime_error("the last frame is cut: " + std::to_string(stream.gcount()) + " of " +
                             std::to_string(frame->rgb.size()) + " bytes; do WIDTH and HEIGHT fit?");
  }
  return true;
}

class Detector {
 public:
  Detector(const std::string& path, int skip) : skip_(skip), model_(path) {
    const auto& entries = model_.entry_points;
    const bool one = entries.size() == 1;
    if (!one && (entries.count("large") == 0 || entries.count("small") == 0)) {
      throw std::runtime_error("the model has no entry points large and small, nor a single one");
    }
    large_ = std::make_unique<lstd::Network>(model_, one ? entries.begin()->first : "large");
    if (!one) small_ = std::make_unique<lstd::Network>(model_, "small");
    large_->Input("image");  // A file for clips has none, and one without post-processing no boxes.
    large_->Output("detection_boxes");
    rows_for_a_box_ = model_.Fact("max_classes_per_detection");
    // The memory of a video is zeros before the first frame, which int8 has at its zero point.
    const bool is_int8 = large_->Input("lstm_c").type.element == kLiteRtInt8;
    const auto zero = static_cast<uint8_t>(is_int8 ? model_.Fact("zero_point") : 0);
    c_.assign(large_->Input("lstm_c").Read().size(), zero);
    h_.assign(large_->Input("lstm_h").Read().size(), zero);
  }

  // Prints the detections of the next frame.
  void Detect(const lstd::Frame& frame) {
    const bool is_large = small_ == nullptr || number_ % (skip_ + 1) == 0;
    lstd::Network& network = is_large ? *large_ : *small_;
    SetImage(frame, &network.Input("image"));
    // Into the outputs as well: in files of older versions the state that the small network hands
    // through is one tensor, in and out, and LiteRT reads it in the memory of the output.
    network.Input("lstm_c").Write(c_);
    network.Input("lstm_h").Write(h_);
    network.Output("lstm_c_out").Write(c_);
    network.Output("lstm_h_out").Write(h_);
    network.Run();
    c_ = network.Output("lstm_c_out").Read();
    h_ = network.Output("lstm_h_out").Read();
    Print(network);
    ++number_;
  }

 private:
  static void SetImage(const lstd::Frame& frame, lstd::Tensor* tensor) {
    const int32_t* size = tensor->type.dimensions;
    const std::vector<float> image = lstd::Fit(frame, size[1], size[2], size[3]);
    if (tensor->type.element == kLiteRtFloat32) {
      tensor->Write(image);
    } else if (tensor->type.element == kLiteRtUInt8) {
      std::vector<uint8_t> bytes(image.size());
      std::transform(image.begin(), image.end(), bytes.begin(),
                     [](float value) { return static_cast<uint8_t>(std::nearbyint(value)); });
      tensor->Write(bytes);
    } else {
      throw std::runtime_error("the model's image is neither float32 nor uint8");
    }
  }

  void Print(lstd::Network& network) const {
    const std::string name = network.name() == "step" ? "large" : network.name();
    const auto boxes = network.Output("detection_boxes").ReadFloats();
    const auto classes = network.Output("detection_classes").ReadFloats();
    const auto scores = network.Output("detection_scores").ReadFloats();
    // Rows behind the last detection mean nothing.
    const int capacity = static_cast<int>(scores.size());
    const float counted = network.Output("num_detections").ReadFloats().at(0);
    std::vector<int> rows(std::clamp(static_cast<int>(counted) * rows_for_a_box_, 0, capacity));
    std::iota(rows.begin(), rows.end(), 0);
    std::stable_sort(rows.begin(), rows.end(),
                     [&scores](int a, int b) { return scores[a] > scores[b]; });
    std::printf("{\"frame\": %d, \"network\": \"%s\", \"detections\": [", number_,
                name.c_str());
    const char* comma = "";
    for (const int row : rows) {
      float box[4];
      for (int i = 0; i < 4; ++i) box[i] = std::clamp(boxes[4 * row + i], 0.0f, 1.0f);
      std::printf("%s{\"class\": %d, \"score\": %.9g, \"box\": [%.9g, %.9g, %.9g, %.9g]}", comma,
                  static_cast<int>(std::nearbyint(classes[row])), scores[row], box[0], box[1],
                  box[2], box[3]);
      comma = ", ";
    }
    std::printf("]}\n");
    std::fflush(stdout);
  }

  int skip_;
  int number_ = 0;
  int rows_for_a_box_ = 1;
  std::vector<uint8_t> c_, h_;
  lstd::Model model_;
  std::unique_ptr<lstd::Network> large_, small_;
};

void Run(int argc, char** argv) {
  if (argc < 4 || argc > 6) throw std::runtime_error(std::string("wrong number of arguments\n") + kUsage);
  lstd::Frame frame;
  frame.width = Whole(argv[2], "WIDTH", 1);
  frame.height = Whole(argv[3], "HEIGHT", 1);
  frame.rgb.resize(static_cast<size_t>(frame.width) * frame.height * 3);
  const int skip = argc > 4 ? Whole(argv[4], "SKIP", 0) : 9;
  std::ifstream file;
  if (argc > 5) {
    file.open(argv[5], std::ios::binary);
    if (!file) throw std::runtime_error(std::string(argv[5]) + ": cannot be read");
  }
  std::istream& frames = argc > 5 ? file : std::cin;
  Detector detector(argv[1], skip);
  while (ReadFrame(frames, &frame)) detector.Detect(frame);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "detect: error: %s\n", error.what());
    return 2;
  }
  return 0;
}
