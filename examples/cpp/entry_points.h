// What a .tflite of lstd-export says of its entry points, read from the file itself.
//
// The C API of TensorFlow Lite addresses tensors by position, and knows nothing of signatures in
// its older versions. The contract of lstd-export is by name. The file has both: each signature
// lists its names with the numbers of their tensors, and each subgraph its inputs and outputs in
// the order of the C API.

#ifndef LSTD_ENTRY_POINTS_H_
#define LSTD_ENTRY_POINTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lstd {

struct EntryPoint {
  size_t subgraph = 0;
  std::map<std::string, int> inputs;   // name -> position
  std::map<std::string, int> outputs;  // name -> position
};

// Returns the entry points by name. Throws std::runtime_error where the bytes are no .tflite.
std::map<std::string, EntryPoint> ReadEntryPoints(const std::vector<uint8_t>& file);

// Returns the bytes with this subgraph as the first one, which is the one that the C API runs.
std::vector<uint8_t> WithSubgraphFirst(std::vector<uint8_t> file, size_t subgraph);

}  // namespace lstd

#endif  // LSTD_ENTRY_POINTS_H_
