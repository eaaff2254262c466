// Kernels: registration by the host code that nvcc generates, launches, and functions of the
// driver for modules that NVRTC compiles. No kernel runs.
#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "state.h"

namespace fake {

struct Configuration {
    dim3 grid, block;
    size_t shared_bytes;
    cudaStream_t stream;
};
static thread_local std::vector<Configuration> configurations;  // of <<<...>>> launches

static std::map<const void*, std::string>& names() {  // mangled, by address or handle
    static auto* instance = new std::map<const void*, std::string>();  // never destroyed
    return *instance;
}

static std::string demangled(const void* function) {
    Lock lock(mutex());
    auto found = names().find(function);
    if (found == names().end()) return "unknown kernel";
    char* text = abi::__cxa_demangle(found->second.c_str(), nullptr, nullptr, nullptr);
    std::string name = text ? text : found->second;
    free(text);
    return name;
}

static bool fits_device(dim3 grid, dim3 block, size_t shared_bytes) {
    bool grid_fits = grid.x && grid.y && grid.z && grid.y <= 65535 && grid.z <= 65535;
    size_t threads = size_t(block.x) * block.y * block.z;
    bool block_fits = threads && threads <= 1024 && block.z <= 64;
    return grid_fits && block_fits && shared_bytes <= size_t(max_shared_bytes_per_block());
}

static cudaError_t launch(const void* function, dim3 grid, dim3 block, size_t shared_bytes,
                          const void* handle) {
    if (!fits_device(grid, block, shared_bytes))
        return refuse(cudaErrorInvalidConfiguration, "cudaLaunchKernel");
    Stream* stream = find_stream(handle);
    if (stream->number && stream->device != current_device())
        return refuse(cudaErrorInvalidResourceHandle, "cudaLaunchKernel");
    std::string shape = std::to_string(grid.x) + "x" + std::to_string(grid.y) + "x" +
                        std::to_string(grid.z) + " blocks of " +
                        std::to_string(block.x * block.y * block.z);
    submit("kernel", handle, shape + " " + demangled(function));
    return cudaSuccess;
}

static void name_handle(const void* handle, const char* name) {
    Lock lock(mutex());
    names()[handle] = name;
}

}  // namespace fake

using namespace fake;

// Registration, at the start of the process

API void** __cudaRegisterFatBinary(void*) {
    static void* handle;
    return &handle;
}

API void __cudaRegisterFatBinaryEnd(void**) {}

API void __cudaUnregisterFatBinary(void**) {}

API char __cudaInitModule(void**) { return 1; }

API void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}

API void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*,
                                uint3*, dim3*, dim3*, int*) {
    name_handle(host, name);
}

// Launches by the runtime

API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                         CUstream_st* stream) {
    configurations.push_back({grid, block, shared_bytes, stream});
    return 0;
}

API cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                           void* stream) {
    Configuration last = configurations.back();
    configurations.pop_back();
    *grid = last.grid;
    *block = last.block;
    *shared_bytes = last.shared_bytes;
    *static_cast<cudaStream_t*>(stream) = last.stream;
    return cudaSuccess;
}

API cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
    *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
    return cudaSuccess;
}

API cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void**,
                                   size_t shared_bytes, cudaStream_t stream) {
    return launch(kernel, grid, block, shared_bytes, stream);
}

API cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void**,
                                 size_t shared_bytes, cudaStream_t stream) {
    return launch(function, grid, block, shared_bytes, stream);
}

API cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block, void**,
                                            size_t shared_bytes, cudaStream_t stream) {
    return launch(function, grid, block, shared_bytes, stream);
}

API cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                    void**) {
    return launch(function, config->gridDim, config->blockDim, config->dynamicSmemBytes,
                  config->stream);
}

API cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 32;
    attributes->binaryVersion = attributes->ptxVersion = compute_capability();
    return cudaSuccess;
}

API cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }

API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*,
                                                                       int threads, size_t,
                                                                       unsigned) {
    *blocks = std::max(1, threads ? 2048 / threads : 2);
    return cudaSuccess;
}

API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function,
                                                              int threads, size_t shared_bytes) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads,
                                                                  shared_bytes, 0);
}

// Modules and launches by the driver

API CUresult cuModuleLoadData(CUmodule* module, const void* image) {
    if (!image) return CUDA_ERROR_INVALID_VALUE;
    static char handle;
    *module = reinterpret_cast<CUmodule>(&handle);
    log_call("load module", nullptr);
    return CUDA_SUCCESS;
}

API CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*,
                                void**) {
    return cuModuleLoadData(module, image);
}

API CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }

API CUresult cuModuleGetFunction(CUfunction* function, CUmodule, const char* name) {
    *function = static_cast<CUfunction>(calloc(1, 1));  // never freed
    name_handle(*function, name);
    return CUDA_SUCCESS;
}

API CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }

API CUresult cuFuncSetCacheConfig(CUfunction, CUfunc_cache) { return CUDA_SUCCESS; }

API CUresult cuFuncGetAttribute(int* value, CUfunction_attribute name, CUfunction) {
    *value = name == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024
             : name == CU_FUNC_ATTRIBUTE_NUM_REGS            ? 32
                                                             : 0;
    return CUDA_SUCCESS;
}

API CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                            unsigned block_x, unsigned block_y, unsigned block_z,
                            unsigned shared_bytes, CUstream stream, void**, void**) {
    dim3 grid(grid_x, grid_y, grid_z);
    dim3 block(block_x, block_y, block_z);
    return static_cast<CUresult>(launch(function, grid, block, shared_bytes, stream));
}

API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int threads,
                                                         size_t) {
    *blocks = std::max(1, threads ? 2048 / threads : 2);
    return CUDA_SUCCESS;
}
