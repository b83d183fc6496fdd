// One entry point of a .tflite in an interpreter of TensorFlow Lite's C API, tensors by name.

#ifndef LSTD_NETWORK_H_
#define LSTD_NETWORK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "entry_points.h"
#include "tensorflow/lite/c/c_api.h"

namespace lstd {

class Network {
 public:
  // Throws std::runtime_error where the entry point cannot be run.
  Network(const std::vector<uint8_t>& file, const std::string& name);

  TfLiteTensor* Input(const std::string& name) const;
  const TfLiteTensor* Output(const std::string& name) const;
  void Run();

 private:
  std::string name_;
  EntryPoint entry_;
  std::vector<uint8_t> bytes_;  // The interpreter reads its weights in here.
  // In this order, so that each is gone before what it stands on.
  std::unique_ptr<TfLiteModel, void (*)(TfLiteModel*)> model_;
  std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)> delegate_;
  std::unique_ptr<TfLiteInterpreter, void (*)(TfLiteInterpreter*)> interpreter_;
};

}  // namespace lstd

#endif  // LSTD_NETWORK_H_
