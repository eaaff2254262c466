// Kernels: registration by the host code that nvcc generates, launches, and functions of the
// driver for modules that NVRTC compiles. No kernel runs.
#include <cxxabi.h>
#include <elf.h>

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

constexpr int kAnyDevice = -1;
constexpr size_t kSharedBytes = 48 << 10;  // without opting in to more

struct Kernel {
    std::string name = "unknown";  // mangled
    int device = kAnyDevice;       // that of its module
    size_t max_shared_bytes = kSharedBytes;
};

static Kernel& kernel(const void* handle) {  // or address of the host's function
    static auto* kernels = new std::map<const void*, Kernel>();  // never destroyed
    Lock lock(mutex());
    return (*kernels)[handle];
}

static std::string demangled(const std::string& name) {
    char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr);
    std::string readable = text ? text : name;
    free(text);
    return readable;
}

static bool fits_device(dim3 grid, dim3 block) {
    bool grid_fits = grid.x && grid.y && grid.z && grid.y <= 65535 && grid.z <= 65535;
    size_t threads = size_t(block.x) * block.y * block.z;
    return grid_fits && threads && threads <= 1024 && block.z <= 64;
}

static cudaError_t submit_kernel(const void* function, dim3 grid, dim3 block, size_t shared_bytes,
                                 const void* handle) {
    const Kernel& launched = kernel(function);
    if (!fits_device(grid, block)) return cudaErrorInvalidConfiguration;
    if (shared_bytes > launched.max_shared_bytes) return cudaErrorInvalidValue;
    Stream* stream = find_stream(handle);
    bool of_stream = !stream->number || stream->device == current_device();
    bool of_module = launched.device == kAnyDevice || launched.device == current_device();
    if (!of_stream || !of_module) return cudaErrorInvalidResourceHandle;
    std::string shape = std::to_string(grid.x) + "x" + std::to_string(grid.y) + "x" +
                        std::to_string(grid.z) + " blocks of " +
                        std::to_string(block.x * block.y * block.z);
    submit("kernel", handle, shape + " " + demangled(launched.name));
    return cudaSuccess;
}

static cudaError_t launch(const void* function, dim3 grid, dim3 block, size_t shared_bytes,
                          const void* stream) {
    cudaError_t error = submit_kernel(function, grid, block, shared_bytes, stream);
    return error ? refuse(error, "cudaLaunchKernel") : cudaSuccess;
}

static cudaError_t set_max_shared_bytes(const void* function, int bytes) {
    if (bytes > max_shared_bytes_per_block()) return cudaErrorInvalidValue;
    kernel(function).max_shared_bytes = std::max(size_t(bytes), kSharedBytes);
    return cudaSuccess;
}

struct Module {
    int device;
    std::string image;  // PTX or a cubin

    bool has_kernel(const char* name) const {
        std::string in_ptx = std::string(".entry ") + name + "(";
        std::string in_cubin = std::string(".text.") + name + '\0';
        return image.find(in_ptx) != image.npos || image.find(in_cubin) != image.npos;
    }
};

// A cubin is an ELF file that ends with a table of its segments or sections; PTX is text.
static std::string copy_image(const void* image) {
    auto* bytes = static_cast<const char*>(image);
    if (memcmp(bytes, ELFMAG, SELFMAG)) return bytes;
    auto* header = static_cast<const Elf64_Ehdr*>(image);
    size_t sections_end = header->e_shoff + size_t(header->e_shnum) * header->e_shentsize;
    size_t segments_end = header->e_phoff + size_t(header->e_phnum) * header->e_phentsize;
    return std::string(bytes, std::max(sections_end, segments_end));
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
    kernel(host).name = name;
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

API cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute name, int value) {
    if (name != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    cudaError_t error = set_max_shared_bytes(function, value);
    return error ? refuse(error, "cudaFuncSetAttribute") : cudaSuccess;
}

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
    *module = reinterpret_cast<CUmodule>(new Module{current_device(), copy_image(image)});
    log_call("load module", nullptr);
    return CUDA_SUCCESS;
}

API CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*,
                                void**) {
    return cuModuleLoadData(module, image);
}

API CUresult cuModuleUnload(CUmodule module) {
    delete reinterpret_cast<Module*>(module);
    return CUDA_SUCCESS;
}

API CUresult cuModuleGetFunction(CUfunction* function, CUmodule handle, const char* name) {
    auto* module = reinterpret_cast<Module*>(handle);
    if (!module->has_kernel(name)) return CUDA_ERROR_NOT_FOUND;
    *function = static_cast<CUfunction>(calloc(1, 1));  // never freed
    kernel(*function) = {name, module->device, kSharedBytes};
    return CUDA_SUCCESS;
}

API CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute name, int value) {
    if (name != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
    return static_cast<CUresult>(set_max_shared_bytes(function, value));
}

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
    cudaError_t error = submit_kernel(function, grid, block, shared_bytes, stream);
    std::string name = cudaGetErrorName(error);
    if (error) log_call("refused", nullptr, "cuLaunchKernel " + name);
    return static_cast<CUresult>(error);
}

API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int threads,
                                                         size_t) {
    *blocks = std::max(1, threads ? 2048 / threads : 2);
    return CUDA_SUCCESS;
}
