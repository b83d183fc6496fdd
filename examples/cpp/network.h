// A .tflite in LiteRT, and one of its entry points with tensors by name.

#ifndef LSTD_NETWORK_H_
#define LSTD_NETWORK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "litert.h"

namespace lstd {

// Destroys what LiteRT has made.
template <auto Destroy>
struct Destroyer {
  template <typename T>
  void operator()(T* object) const {
    Destroy(object);
  }
};
template <typename Handle, auto Destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroyer<Destroy>>;

// A file, ready to run. All of this throws std::runtime_error where LiteRT fails.
struct Model {
  explicit Model(const std::string& path);

  // Returns a whole number of what lstd-export wrote into the file, by a key that stands there once.
  int Fact(const std::string& key) const;

  std::map<std::string, size_t> entry_points;  // name -> number of its signature
  // In this order, so that each is gone before what it stands on.
  std::vector<uint8_t> bytes;
  Owned<LiteRtEnvironment, LiteRtDestroyEnvironment> environment;
  Owned<LiteRtModel, LiteRtDestroyModel> model;
  Owned<LiteRtCompiledModel, LiteRtDestroyCompiledModel> compiled;
};

// An input or an output, in memory that LiteRT has made for it.
struct Tensor {
  template <typename T>
  void Write(const std::vector<T>& values) {
    WriteBytes(values.data(), values.size() * sizeof(T));
  }
  void WriteBytes(const void* values, size_t size);
  std::vector<uint8_t> Read() const;
  std::vector<float> ReadFloats() const;

  std::string name;
  LiteRtTensorType type = {};
  Owned<LiteRtTensorBuffer, LiteRtDestroyTensorBuffer> buffer;
};

class Network {
 public:
  Network(const Model& model, const std::string& entry_point);

  const std::string& name() const { return name_; }
  Tensor& Input(const std::string& name) { return Find(inputs_, name); }
  Tensor& Output(const std::string& name) { return Find(outputs_, name); }
  void Run();

 private:
  Tensor& Find(std::vector<Tensor>& tensors, const std::string& name) const;

  std::string name_;
  const Model& model_;
  size_t signature_;
  std::vector<Tensor> inputs_, outputs_;  // in the order of the signature
};

}  // namespace lstd

#endif  // LSTD_NETWORK_H_
