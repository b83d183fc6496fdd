#include "network.h"

#include <stdexcept>

// In the library, but in a header of its own that packages of the C API leave out. Without options
// the delegate works on one thread.
extern "C" {
struct TfLiteXNNPackDelegateOptions;
TfLiteDelegate* TfLiteXNNPackDelegateCreate(const TfLiteXNNPackDelegateOptions* options);
void TfLiteXNNPackDelegateDelete(TfLiteDelegate* delegate);
}

namespace lstd {

Network::Network(const std::vector<uint8_t>& file, const std::string& name)
    : name_(name),
      model_(nullptr, TfLiteModelDelete),
      delegate_(nullptr, TfLiteXNNPackDelegateDelete),
      interpreter_(nullptr, TfLiteInterpreterDelete) {
  entry_ = ReadEntryPoints(file).at(name);
  bytes_ = WithSubgraphFirst(file, entry_.subgraph);
  model_.reset(TfLiteModelCreate(bytes_.data(), bytes_.size()));
  if (model_ == nullptr) throw std::runtime_error("TensorFlow Lite cannot read the model");
  delegate_.reset(TfLiteXNNPackDelegateCreate(nullptr));
  std::unique_ptr<TfLiteInterpreterOptions, void (*)(TfLiteInterpreterOptions*)> options(
      TfLiteInterpreterOptionsCreate(), TfLiteInterpreterOptionsDelete);
  TfLiteInterpreterOptionsSetNumThreads(options.get(), 1);
  TfLiteInterpreterOptionsAddDelegate(options.get(), delegate_.get());
  interpreter_.reset(TfLiteInterpreterCreate(model_.get(), options.get()));
  if (interpreter_ == nullptr || TfLiteInterpreterAllocateTensors(interpreter_.get()) != kTfLiteOk) {
    throw std::runtime_error("this version of TensorFlow Lite (" + std::string(TfLiteVersion()) +
                             ") cannot run the entry point " + name);
  }
}

TfLiteTensor* Network::Input(const std::string& name) const {
  const auto found = entry_.inputs.find(name);
  if (found == entry_.inputs.end()) throw std::runtime_error(name_ + " has no input " + name);
  return TfLiteInterpreterGetInputTensor(interpreter_.get(), found->second);
}

const TfLiteTensor* Network::Output(const std::string& name) const {
  const auto found = entry_.outputs.find(name);
  if (found == entry_.outputs.end()) throw std::runtime_error(name_ + " has no output " + name);
  return TfLiteInterpreterGetOutputTensor(interpreter_.get(), found->second);
}

void Network::Run() {
  if (TfLiteInterpreterInvoke(interpreter_.get()) != kTfLiteOk) {
    throw std::runtime_error("the entry point " + name_ + " failed");
  }
}

}  // namespace lstd
