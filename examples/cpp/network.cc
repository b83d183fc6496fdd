#include "network.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace lstd {
namespace {

void Check(LiteRtStatus status, const std::string& what) {
  if (status != 0) {
    throw std::runtime_error(what + " (LiteRT's status " + std::to_string(status) + ")");
  }
}

std::vector<uint8_t> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  std::vector<uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
  if (bytes.size() < 8 || std::memcmp(bytes.data() + 4, "TFL3", 4) != 0) {
    throw std::runtime_error(path + ": this is not a .tflite file");
  }
  return bytes;
}

LiteRtSignature SignatureOf(const Model& model, size_t number) {
  LiteRtSignature signature = nullptr;
  Check(LiteRtGetModelSignature(model.model.get(), number, &signature), "the file is damaged");
  return signature;
}

// Returns the inputs or the outputs of a signature, by the functions for the one or the other.
template <typename Count, typename Name, typename Find, typename Requirements>
std::vector<Tensor> TensorsOf(const Model& model, size_t number, Count count_of, Name name_of,
                              Find tensor_of, Requirements requirements_of) {
  const LiteRtSignature signature = SignatureOf(model, number);
  size_t count = 0;
  Check(count_of(signature, &count), "the file is damaged");
  std::vector<Tensor> tensors(count);
  for (size_t i = 0; i < count; ++i) {
    const char* name = nullptr;
    LiteRtTensor tensor = nullptr;
    LiteRtRequirements requirements = nullptr;
    LiteRtTensorBuffer buffer = nullptr;
    Check(name_of(signature, i, &name), "the file is damaged");
    tensors[i].name = name;
    Check(tensor_of(signature, i, &tensor), tensors[i].name + " is not a tensor");
    Check(LiteRtGetRankedTensorType(tensor, &tensors[i].type), tensors[i].name + " has no shape");
    Check(requirements_of(model.compiled.get(), number, i, &requirements), tensors[i].name);
    Check(LiteRtCreateManagedTensorBufferFromRequirements(
              model.environment.get(), &tensors[i].type, requirements, &buffer),
          "no memory for " + tensors[i].name);
    tensors[i].buffer.reset(buffer);
  }
  return tensors;
}

std::vector<LiteRtTensorBuffer> BuffersOf(const std::vector<Tensor>& tensors) {
  std::vector<LiteRtTensorBuffer> buffers;
  for (const Tensor& tensor : tensors) buffers.push_back(tensor.buffer.get());
  return buffers;
}

}  // namespace

Model::Model(const std::string& path) : bytes(ReadFile(path)) {
  const LiteRtEnvOption settings[] = {
      {kLiteRtAutoRegisterAccelerators, {kLiteRtTypeInt, kLiteRtCpu}},
      {kLiteRtMinLoggerSeverity, {kLiteRtTypeInt, kLiteRtErrorsOnly}},
  };
  LiteRtEnvironment made = nullptr;
  Check(LiteRtCreateEnvironment(2, settings, &made), "LiteRT does not start");
  environment.reset(made);
  LiteRtModel read = nullptr;
  Check(LiteRtCreateModelFromBuffer(made, bytes.data(), bytes.size(), &read),  // It verifies them.
        path + ": the file is damaged");
  model.reset(read);
  LiteRtOptions options = nullptr;
  Check(LiteRtCreateOptions(&options), "LiteRT has no options");
  const Owned<LiteRtOptions, LiteRtDestroyOptions> owned(options);
  Check(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtCpu), "LiteRT has no CPU");
  LiteRtCompiledModel ready = nullptr;
  Check(LiteRtCreateCompiledModel(made, read, options, &ready),
        path + ": this version of LiteRT cannot run the file");
  compiled.reset(ready);
  size_t count = 0;
  Check(LiteRtGetNumModelSignatures(read, &count), path + ": the file is damaged");
  for (size_t i = 0; i < count; ++i) {
    const char* name = nullptr;
    Check(LiteRtGetSignatureKey(SignatureOf(*this, i), &name), path + ": the file is damaged");
    entry_points[name] = i;
  }
}

int Model::Fact(const std::string& key) const {
  const void* start = nullptr;
  size_t size = 0;
  Check(LiteRtGetModelMetadata(model.get(), "lstd.json", &start, &size),
        "the file is not of lstd-export");
  const std::string text(static_cast<const char*>(start), size);
  const std::string quoted = "\"" + key + "\":";
  const size_t at = text.find(quoted);
  if (at == std::string::npos) throw std::runtime_error("the file does not say its " + key);
  return std::atoi(text.c_str() + at + quoted.size());
}

void Tensor::WriteBytes(const void* values, size_t size) {
  size_t expected = 0;
  void* memory = nullptr;
  Check(LiteRtGetTensorBufferPackedSize(buffer.get(), &expected), name);
  if (size != expected) {
    throw std::runtime_error(name + " takes " + std::to_string(expected) + " bytes, not " +
                             std::to_string(size));
  }
  Check(LiteRtLockTensorBuffer(buffer.get(), &memory, kLiteRtLockWrite), name);
  std::memcpy(memory, values, size);
  Check(LiteRtUnlockTensorBuffer(buffer.get()), name);
}

std::vector<uint8_t> Tensor::Read() const {
  size_t size = 0;
  void* memory = nullptr;
  Check(LiteRtGetTensorBufferPackedSize(buffer.get(), &size), name);
  Check(LiteRtLockTensorBuffer(buffer.get(), &memory, kLiteRtLockRead), name);
  const auto* bytes = static_cast<const uint8_t*>(memory);
  std::vector<uint8_t> values(bytes, bytes + size);
  Check(LiteRtUnlockTensorBuffer(buffer.get()), name);
  return values;
}

std::vector<float> Tensor::ReadFloats() const {
  if (type.element != kLiteRtFloat32) throw std::runtime_error(name + " is not float32");
  const std::vector<uint8_t> bytes = Read();
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Network::Network(const Model& model, const std::string& entry_point)
    : name_(entry_point), model_(model), signature_(model.entry_points.at(entry_point)) {
  inputs_ = TensorsOf(model, signature_, LiteRtGetNumSignatureInputs, LiteRtGetSignatureInputName,
                      LiteRtGetSignatureInputTensorByIndex,
                      LiteRtGetCompiledModelInputBufferRequirements);
  outputs_ = TensorsOf(model, signature_, LiteRtGetNumSignatureOutputs,
                       LiteRtGetSignatureOutputName, LiteRtGetSignatureOutputTensorByIndex,
                       LiteRtGetCompiledModelOutputBufferRequirements);
}

void Network::Run() {
  std::vector<LiteRtTensorBuffer> inputs = BuffersOf(inputs_), outputs = BuffersOf(outputs_);
  Check(LiteRtRunCompiledModel(model_.compiled.get(), signature_, inputs.size(), inputs.data(),
                               outputs.size(), outputs.data()),
        "the entry point " + name_ + " failed");
}

Tensor& Network::Find(std::vector<Tensor>& tensors, const std::string& name) const {
  for (Tensor& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::runtime_error("the entry point " + name_ + " has no " + name);
}

}  // namespace lstd
