#include "entry_points.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace lstd {
namespace {

// The fields that are read here, by their number in the tables of TensorFlow Lite's schema.
constexpr int kModelSubgraphs = 2, kModelSignatures = 7;
constexpr int kSubgraphInputs = 1, kSubgraphOutputs = 2;
constexpr int kSignatureInputs = 0, kSignatureOutputs = 1, kSignatureKey = 2, kSignatureSubgraph = 4;
constexpr int kTensorMapName = 0, kTensorMapIndex = 1;

// A FlatBuffer, as far as it is needed: tables, vectors and strings, every access within bounds.
class Reader {
 public:
  explicit Reader(const std::vector<uint8_t>& bytes) : bytes_(bytes) {}

  uint32_t Number(size_t at) const { return Read<uint32_t>(at); }

  // Returns where the thing is that the offset at this place points to.
  size_t Follow(size_t at) const { return at + Number(at); }

  // Returns the place of a table's field, 0 where it has its default.
  size_t Field(size_t table, int field) const {
    const size_t vtable = table - Read<int32_t>(table);
    const size_t entry = 4 + 2 * static_cast<size_t>(field);
    if (entry + 2 > Read<uint16_t>(vtable)) return 0;
    const uint16_t offset = Read<uint16_t>(vtable + entry);
    return offset == 0 ? 0 : table + offset;
  }

  // Returns the places of a vector's elements, 4 bytes each; none where it is left out.
  std::vector<size_t> Elements(size_t table, int field) const {
    const size_t at = Field(table, field);
    if (at == 0) return {};
    const size_t vector = Follow(at);
    const size_t count = Number(vector);
    if (count > bytes_.size()) Fail();
    std::vector<size_t> places;
    for (size_t i = 0; i < count; ++i) places.push_back(vector + 4 + 4 * i);
    return places;
  }

  uint32_t NumberField(size_t table, int field) const {
    const size_t at = Field(table, field);
    return at == 0 ? 0 : Number(at);
  }

  std::string StringField(size_t table, int field) const {
    const size_t at = Field(table, field);
    if (at == 0) return "";
    const size_t text = Follow(at);
    const size_t length = Number(text);
    if (length > bytes_.size() || text + 4 + length > bytes_.size()) Fail();
    return std::string(reinterpret_cast<const char*>(bytes_.data()) + text + 4, length);
  }

 private:
  template <typename T>
  T Read(size_t at) const {
    if (at > bytes_.size() || sizeof(T) > bytes_.size() - at) Fail();
    T value;  // Files are little-endian, and so is every machine that this is for.
    std::memcpy(&value, bytes_.data() + at, sizeof(T));
    return value;
  }

  [[noreturn]] static void Fail() { throw std::runtime_error("the .tflite is damaged"); }

  const std::vector<uint8_t>& bytes_;
};

size_t Root(const std::vector<uint8_t>& file) {
  if (file.size() < 8 || std::memcmp(file.data() + 4, "TFL3", 4) != 0) {
    throw std::runtime_error("this is not a .tflite file");
  }
  return Reader(file).Follow(0);
}

// Returns the position of each named tensor of a signature in a list of its subgraph.
std::map<std::string, int> Positions(const Reader& reader, size_t signature, int names,
                                     size_t subgraph, int list) {
  std::vector<uint32_t> tensors;
  for (const size_t at : reader.Elements(subgraph, list)) tensors.push_back(reader.Number(at));
  std::map<std::string, int> found;
  for (const size_t at : reader.Elements(signature, names)) {
    const size_t pair = reader.Follow(at);
    const auto tensor =
        std::find(tensors.begin(), tensors.end(), reader.NumberField(pair, kTensorMapIndex));
    if (tensor != tensors.end()) {
      found[reader.StringField(pair, kTensorMapName)] = static_cast<int>(tensor - tensors.begin());
    }
  }
  return found;
}

}  // namespace

std::map<std::string, EntryPoint> ReadEntryPoints(const std::vector<uint8_t>& file) {
  const Reader reader(file);
  const size_t model = Root(file);
  const std::vector<size_t> subgraphs = reader.Elements(model, kModelSubgraphs);
  std::map<std::string, EntryPoint> found;
  for (const size_t at : reader.Elements(model, kModelSignatures)) {
    const size_t signature = reader.Follow(at);
    EntryPoint entry;
    entry.subgraph = reader.NumberField(signature, kSignatureSubgraph);
    const size_t subgraph = reader.Follow(subgraphs.at(entry.subgraph));
    entry.inputs = Positions(reader, signature, kSignatureInputs, subgraph, kSubgraphInputs);
    entry.outputs = Positions(reader, signature, kSignatureOutputs, subgraph, kSubgraphOutputs);
    found[reader.StringField(signature, kSignatureKey)] = entry;
  }
  return found;
}

std::vector<uint8_t> WithSubgraphFirst(std::vector<uint8_t> file, size_t subgraph) {
  const Reader reader(file);
  const std::vector<size_t> places = reader.Elements(Root(file), kModelSubgraphs);
  const size_t first = places.at(0), other = places.at(subgraph);
  // An offset counts from its own place, so exchanged ones are written anew.
  const uint32_t to_first = static_cast<uint32_t>(reader.Follow(other) - first);
  const uint32_t to_other = static_cast<uint32_t>(reader.Follow(first) - other);
  std::memcpy(file.data() + other, &to_other, sizeof(to_other));
  std::memcpy(file.data() + first, &to_first, sizeof(to_first));
  return file;
}

}  // namespace lstd
