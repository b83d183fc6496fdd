// The part of LiteRT's C API that a host needs, as libLiteRt.so of ai-edge-litert 2.3 has it.
//
// The package holds the library without its headers. The API is documented in litert/c of
// https://github.com/google-ai-edge/LiteRT; signatures changed between versions, so that this
// belongs to 2.3.

#ifndef LSTD_LITERT_H_
#define LSTD_LITERT_H_

#include <cstddef>
#include <cstdint>

extern "C" {

using LiteRtStatus = int;  // 0: no error
using LiteRtEnvironment = struct LiteRtEnvironmentT*;
using LiteRtModel = struct LiteRtModelT*;
using LiteRtOptions = struct LiteRtOptionsT*;
using LiteRtCompiledModel = struct LiteRtCompiledModelT*;
using LiteRtSignature = struct LiteRtSignatureT*;
using LiteRtTensor = struct LiteRtTensorT*;
using LiteRtTensorBuffer = struct LiteRtTensorBufferT*;
using LiteRtRequirements = struct LiteRtTensorBufferRequirementsT*;

struct LiteRtEnvOption {
  int tag;
  struct {
    int type;
    int64_t number;
  } value;
};
static_assert(sizeof(LiteRtEnvOption) == 24, "as in the library");
constexpr int kLiteRtTypeInt = 2;
constexpr int kLiteRtAutoRegisterAccelerators = 24, kLiteRtMinLoggerSeverity = 25;
constexpr int kLiteRtCpu = 1, kLiteRtErrorsOnly = 3;

struct LiteRtTensorType {
  int32_t element;
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
};
static_assert(sizeof(LiteRtTensorType) == 72, "as in the library");
constexpr int32_t kLiteRtFloat32 = 1, kLiteRtUInt8 = 3, kLiteRtInt8 = 9;
constexpr int kLiteRtLockRead = 0, kLiteRtLockWrite = 1;

LiteRtStatus LiteRtCreateEnvironment(int count, const LiteRtEnvOption*, LiteRtEnvironment*);
void LiteRtDestroyEnvironment(LiteRtEnvironment);
LiteRtStatus LiteRtCreateModelFromBuffer(LiteRtEnvironment, const void* bytes, size_t size,
                                         LiteRtModel*);
LiteRtStatus LiteRtGetModelMetadata(LiteRtModel, const char* name, const void** bytes,
                                    size_t* size);
void LiteRtDestroyModel(LiteRtModel);
LiteRtStatus LiteRtCreateOptions(LiteRtOptions*);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtOptions, int accelerators);
void LiteRtDestroyOptions(LiteRtOptions);
LiteRtStatus LiteRtCreateCompiledModel(LiteRtEnvironment, LiteRtModel, LiteRtOptions,
                                       LiteRtCompiledModel*);
void LiteRtDestroyCompiledModel(LiteRtCompiledModel);
LiteRtStatus LiteRtRunCompiledModel(LiteRtCompiledModel, size_t signature, size_t num_inputs,
                                    LiteRtTensorBuffer* inputs, size_t num_outputs,
                                    LiteRtTensorBuffer* outputs);

LiteRtStatus LiteRtGetNumModelSignatures(LiteRtModel, size_t*);
LiteRtStatus LiteRtGetModelSignature(LiteRtModel, size_t index, LiteRtSignature*);
LiteRtStatus LiteRtGetSignatureKey(LiteRtSignature, const char**);
LiteRtStatus LiteRtGetNumSignatureInputs(LiteRtSignature, size_t*);
LiteRtStatus LiteRtGetNumSignatureOutputs(LiteRtSignature, size_t*);
LiteRtStatus LiteRtGetSignatureInputName(LiteRtSignature, size_t index, const char**);
LiteRtStatus LiteRtGetSignatureOutputName(LiteRtSignature, size_t index, const char**);
LiteRtStatus LiteRtGetSignatureInputTensorByIndex(LiteRtSignature, size_t index, LiteRtTensor*);
LiteRtStatus LiteRtGetSignatureOutputTensorByIndex(LiteRtSignature, size_t index, LiteRtTensor*);
LiteRtStatus LiteRtGetRankedTensorType(LiteRtTensor, LiteRtTensorType*);

LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(LiteRtCompiledModel, size_t signature,
                                                           size_t index, LiteRtRequirements*);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(LiteRtCompiledModel, size_t signature,
                                                            size_t index, LiteRtRequirements*);
LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(LiteRtEnvironment,
                                                             const LiteRtTensorType*,
                                                             LiteRtRequirements,
                                                             LiteRtTensorBuffer*);
LiteRtStatus LiteRtGetTensorBufferPackedSize(LiteRtTensorBuffer, size_t*);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer, void** address, int mode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer);
void LiteRtDestroyTensorBuffer(LiteRtTensorBuffer);

}  // extern "C"

#endif  // LSTD_LITERT_H_
