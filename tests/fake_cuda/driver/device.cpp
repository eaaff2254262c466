// Devices and their properties, versions and errors.
//
// FAKE_CUDA_DEVICES=1           number of devices; 0: no CUDA device
// FAKE_CUDA_SM=90               compute capability: 75 is a T4, 86 an RTX 3090, 90 an H100 or H200
// FAKE_CUDA_MULTIPROCESSORS=132
// FAKE_CUDA_MEMORY_MB=81559     memory of each device (see memory.cpp)
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "state.h"

namespace fake {

constexpr int kCudaVersion = 13000;
static thread_local int device_of_thread = 0;
static thread_local cudaError_t last_error = cudaSuccess;

static int from_environment(const char* name, int otherwise) {
    const char* text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int device_count() {
    return std::clamp(from_environment("FAKE_CUDA_DEVICES", 1), 0, kMaxDevices);
}

int compute_capability() { return from_environment("FAKE_CUDA_SM", 90); }

int multiprocessors() { return from_environment("FAKE_CUDA_MULTIPROCESSORS", 132); }

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
int max_shared_bytes_per_block() {
    switch (compute_capability()) {
        case 75: return 64 << 10;
        case 80: return 163 << 10;
        case 86:
        case 89:
        case 120: return 99 << 10;
        default: return 227 << 10;
    }
}

static int max_threads_per_multiprocessor() {
    switch (compute_capability()) {
        case 75: return 1024;
        case 86:
        case 89:
        case 120: return 1536;
        default: return 2048;
    }
}

int current_device() { return device_of_thread; }

cudaError_t refuse(cudaError_t error, const char* function) {
    last_error = error;
    log_call("refused", nullptr, std::string(function) + " " + cudaGetErrorName(error));
    return error;
}

static int attribute(int name) {
    switch (name) {
        case cudaDevAttrComputeCapabilityMajor: return compute_capability() / 10;
        case cudaDevAttrComputeCapabilityMinor: return compute_capability() % 10;
        case cudaDevAttrMultiProcessorCount: return multiprocessors();
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: return max_shared_bytes_per_block();
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
            return max_shared_bytes_per_block() + 1024;
        case cudaDevAttrMaxSharedMemoryPerBlock: return 48 << 10;
        case cudaDevAttrMaxThreadsPerMultiProcessor: return max_threads_per_multiprocessor();
        case cudaDevAttrMaxThreadsPerBlock: return 1024;
        case cudaDevAttrWarpSize: return 32;
        case cudaDevAttrMaxGridDimX: return 2147483647;
        case cudaDevAttrMaxGridDimY:
        case cudaDevAttrMaxGridDimZ: return 65535;
        case cudaDevAttrMaxRegistersPerBlock:
        case cudaDevAttrMaxRegistersPerMultiprocessor: return 65536;
        case cudaDevAttrL2CacheSize: return 50 << 20;
        case cudaDevAttrUnifiedAddressing: return 1;
        default: return 0;
    }
}

}  // namespace fake

using namespace fake;

API cudaError_t cudaGetDeviceCount(int* count) {
    *count = device_count();
    return *count ? cudaSuccess : refuse(cudaErrorNoDevice, "cudaGetDeviceCount");
}

API cudaError_t cudaGetDevice(int* device) {
    *device = device_of_thread;
    return cudaSuccess;
}

API cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= device_count())
        return refuse(cudaErrorInvalidDevice, "cudaSetDevice");
    device_of_thread = device;
    return cudaSuccess;
}

API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    cudaDeviceProp p = {};
    snprintf(p.name, sizeof p.name, "fake device, sm_%d", compute_capability());
    p.major = compute_capability() / 10;
    p.minor = compute_capability() % 10;
    p.totalGlobalMem = memory_bytes();
    p.multiProcessorCount = multiprocessors();
    p.warpSize = attribute(cudaDevAttrWarpSize);
    p.maxThreadsPerBlock = attribute(cudaDevAttrMaxThreadsPerBlock);
    p.maxThreadsPerMultiProcessor = max_threads_per_multiprocessor();
    p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
    p.maxThreadsDim[2] = 64;
    p.maxGridSize[0] = attribute(cudaDevAttrMaxGridDimX);
    p.maxGridSize[1] = p.maxGridSize[2] = attribute(cudaDevAttrMaxGridDimY);
    p.maxBlocksPerMultiProcessor = 32;
    p.sharedMemPerBlock = attribute(cudaDevAttrMaxSharedMemoryPerBlock);
    p.sharedMemPerBlockOptin = max_shared_bytes_per_block();
    p.sharedMemPerMultiprocessor = attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    p.regsPerBlock = p.regsPerMultiprocessor = attribute(cudaDevAttrMaxRegistersPerBlock);
    p.l2CacheSize = attribute(cudaDevAttrL2CacheSize);
    p.totalConstMem = 64 << 10;
    p.textureAlignment = 512;
    p.memoryBusWidth = 5120;
    p.unifiedAddressing = p.canMapHostMemory = p.concurrentKernels = 1;
    *properties = p;
    return cudaSuccess;
}

API cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr name, int) {
    *value = attribute(name);
    return cudaSuccess;
}

API cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device) {
    snprintf(text, size, "0000:%02x:00.0", device + 4);
    return cudaSuccess;
}

API cudaError_t cudaDeviceGetStreamPriorityRange(int* lowest, int* highest) {
    *lowest = 0;
    *highest = -5;
    return cudaSuccess;
}

API cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
    *can = 0;
    return cudaSuccess;
}

API cudaError_t cudaDriverGetVersion(int* version) {
    *version = kCudaVersion;
    return cudaSuccess;
}

API cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = kCudaVersion;
    return cudaSuccess;
}

API cudaError_t cudaGetLastError() {
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

API cudaError_t cudaPeekAtLastError() { return last_error; }

// Names and texts of the errors that the fake driver returns, as CUDA words them.
static const std::map<cudaError_t, std::pair<const char*, const char*>> kErrors = {
    {cudaSuccess, {"cudaSuccess", "no error"}},
    {cudaErrorInvalidValue, {"cudaErrorInvalidValue", "invalid argument"}},
    {cudaErrorMemoryAllocation, {"cudaErrorMemoryAllocation", "out of memory"}},
    {cudaErrorInvalidConfiguration,
     {"cudaErrorInvalidConfiguration", "invalid configuration argument"}},
    {cudaErrorNoDevice, {"cudaErrorNoDevice", "no CUDA-capable device is detected"}},
    {cudaErrorInvalidDevice, {"cudaErrorInvalidDevice", "invalid device ordinal"}},
    {cudaErrorInvalidResourceHandle,
     {"cudaErrorInvalidResourceHandle", "invalid resource handle"}},
    {cudaErrorIllegalAddress,
     {"cudaErrorIllegalAddress", "an illegal memory access was encountered"}},
    {cudaErrorSymbolNotFound, {"cudaErrorSymbolNotFound", "named symbol not found"}},
    {cudaErrorNotSupported, {"cudaErrorNotSupported", "operation not supported"}},
    {cudaErrorStreamCaptureUnsupported,
     {"cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"}},
    {cudaErrorStreamCaptureInvalidated,
     {"cudaErrorStreamCaptureInvalidated",
      "operation failed due to a previous error during capture"}},
    {cudaErrorStreamCaptureImplicit,
     {"cudaErrorStreamCaptureImplicit",
      "operation would make the legacy stream depend on a capturing blocking stream"}},
};

API const char* cudaGetErrorName(cudaError_t error) {
    auto found = kErrors.find(error);
    return found == kErrors.end() ? "cudaErrorUnknown" : found->second.first;
}

API const char* cudaGetErrorString(cudaError_t error) {
    auto found = kErrors.find(error);
    return found == kErrors.end() ? "unknown error" : found->second.second;
}
