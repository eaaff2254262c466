// The few other functions of libcuda.so.1 that torch calls.
#include <dlfcn.h>

#include "state.h"

using namespace fake;

static CUcontext only_context() {
    static char context;
    return reinterpret_cast<CUcontext>(&context);
}

static CUresult not_supported() { return CUDA_ERROR_NOT_SUPPORTED; }

API CUresult cuInit(unsigned) { return CUDA_SUCCESS; }

API CUresult cuDriverGetVersion(int* version) {
    return static_cast<CUresult>(cudaDriverGetVersion(version));
}

API CUresult cuDeviceGetCount(int* count) {
    *count = device_count();
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    *device = ordinal;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute name, CUdevice device) {
    cudaDeviceGetAttribute(value, static_cast<cudaDeviceAttr>(name), device);
    return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
    *context = only_context();
    return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active) {
    *flags = 0;
    *active = 1;
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetCurrent(CUcontext* context) {
    *context = only_context();
    return CUDA_SUCCESS;
}

API CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }

API CUresult cuGetErrorString(CUresult error, const char** text) {
    *text = cudaGetErrorString(static_cast<cudaError_t>(error));  // the numbers are the same
    return CUDA_SUCCESS;
}

API CUresult cuPointerGetAttribute(void* value, CUpointer_attribute name, CUdeviceptr pointer) {
    if (name != CU_POINTER_ATTRIBUTE_DEVICE_POINTER) return CUDA_ERROR_NOT_SUPPORTED;
    *static_cast<CUdeviceptr*>(value) = pointer;
    return CUDA_SUCCESS;
}

// NVRTC looks for these two; without them it does not compile.

API CUresult cuGetExportTable(const void**, const CUuuid*) { return CUDA_ERROR_NOT_FOUND; }

API CUresult cuGetProcAddress(const char*, void**, int, cuuint64_t,
                              CUdriverProcAddressQueryResult*) {
    return CUDA_ERROR_NOT_FOUND;
}

API cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned,
                                                 unsigned long long,
                                                 cudaDriverEntryPointQueryResult* result) {
    void* found = dlsym(RTLD_DEFAULT, symbol);
    *function = found ? found : reinterpret_cast<void*>(not_supported);
    if (result) *result = cudaDriverEntryPointSuccess;
    return cudaSuccess;
}
