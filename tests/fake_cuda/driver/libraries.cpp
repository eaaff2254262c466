// cuBLAS, cuFFT and cuDNN: a product, a transform and a convolution are one node each. The real
// libraries often launch more kernels. Their headers are not needed: handles are pointers or
// numbers, results are numbers, and 0 is success.
#include <cstdlib>
#include <cstring>

#include "state.h"

using namespace fake;

static int new_handle(void** handle) {
    *handle = calloc(1, 256);
    return 0;
}

static int free_handle(void* handle) {
    free(handle);
    return 0;
}

// A handle of cuBLAS or cuDNN begins with its stream.
static cudaStream_t& stream_of(void* handle) { return *static_cast<cudaStream_t*>(handle); }

static int set_stream(void* handle, cudaStream_t stream) {
    stream_of(handle) = stream;
    return 0;
}

static std::string sizes(long long m, long long n, long long k) {
    return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
}

// cuBLAS

constexpr int kCublasAllocFailed = 3;

API int cublasCreate_v2(void** handle) {
    return fails_now("cublasCreate") ? kCublasAllocFailed : new_handle(handle);
}

API int cublasDestroy_v2(void* handle) { return free_handle(handle); }
API int cublasSetWorkspace_v2(void*, void*, size_t) { return 0; }
API int cublasSetMathMode(void*, int) { return 0; }
API int cublasSetPointerMode_v2(void*, int) { return 0; }

API int cublasSetStream_v2(void* handle, cudaStream_t stream) {
    return set_stream(handle, stream);
}

API int cublasGetMathMode(void*, int* mode) {
    *mode = 0;
    return 0;
}

API int cublasGetPointerMode_v2(void*, int* mode) {
    *mode = 0;
    return 0;
}

API int cublasSgemm_v2(void* handle, int, int, int m, int n, int k) {  // and more arguments
    submit("product", stream_of(handle), sizes(m, n, k));
    return 0;
}

API int cublasGemmEx(void* handle, int, int, int m, int n, int k) {
    submit("product", stream_of(handle), sizes(m, n, k));
    return 0;
}

API int cublasSgemmStridedBatched(void* handle, int, int, int m, int n, int k) {
    submit("product", stream_of(handle), sizes(m, n, k) + " batched");
    return 0;
}

API int cublasGemmStridedBatchedEx(void* handle, int, int, int m, int n, int k) {
    submit("product", stream_of(handle), sizes(m, n, k) + " batched");
    return 0;
}

// cuBLASLt

API size_t cublasLtGetVersion() { return 130101; }
API int cublasLtMatmulDescCreate(void** handle, int, int) { return new_handle(handle); }
API int cublasLtMatmulDescSetAttribute(void*, int, const void*, size_t) { return 0; }
API int cublasLtMatrixLayoutCreate(void** handle) { return new_handle(handle); }
API int cublasLtMatrixLayoutSetAttribute(void*, int, const void*, size_t) { return 0; }
API int cublasLtMatmulPreferenceCreate(void** handle) { return new_handle(handle); }
API int cublasLtMatmulPreferenceSetAttribute(void*, int, const void*, size_t) { return 0; }

API int cublasLtMatmulDescDestroy(void* handle) { return free_handle(handle); }
API int cublasLtMatrixLayoutDestroy(void* handle) { return free_handle(handle); }
API int cublasLtMatmulPreferenceDestroy(void* handle) { return free_handle(handle); }

API int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void*, int, void*,
                                       int* found) {
    *found = 1;
    return 0;
}

API int cublasLtMatmul(void*, void*, const void*, const void*, void*, const void*, void*,
                       const void*, const void*, void*, void*, void*, const void*, void*,
                       size_t workspace_bytes, cudaStream_t stream) {
    submit("product", stream, "with an epilogue, workspace " + std::to_string(workspace_bytes));
    return 0;
}

// cuFFT

constexpr int kCufftAllocFailed = 2;
constexpr int kCufftInternalError = 5;
static thread_local cudaStream_t transform_stream = nullptr;  // of the plan used last

API int cufftCreate(int* plan) {
    static int plans = 0;
    *plan = ++plans;
    return 0;
}

API int cufftDestroy(int) { return 0; }
API int cufftSetAutoAllocation(int, int) { return 0; }
API int cufftSetWorkArea(int, void*) { return 0; }

API int cufftSetStream(int, cudaStream_t stream) {
    transform_stream = stream;
    return 0;
}

API int cufftXtMakePlanMany(int, int, long long* lengths, long long*, long long, long long, int,
                            long long*, long long, long long, int, long long batch,
                            size_t* workspace_bytes, int) {
    if (fails_now("cufftXtMakePlanMany")) return kCufftAllocFailed;
    if (refuse_during_capture("cufftXtMakePlanMany")) return kCufftInternalError;
    *workspace_bytes = size_t(batch) * (lengths[0] / 2 + 1) * 8;  // complex64
    log_call("plan transform", nullptr, sizes(batch, 1, lengths[0]));
    return 0;
}

API int cufftXtExec(int, void*, void*, int) {
    submit("transform", transform_stream);
    return 0;
}

// cuDNN's backend interface: every descriptor is valid, and every plan runs as one node.

constexpr int kCudnnDeviceAllocationFailed = 4004;
constexpr int kCudnnTypeInt64 = 3;
constexpr int kCudnnTypeBackendDescriptor = 15;

API size_t cudnnGetVersion() { return 92000; }
API size_t cudnnGetCudartVersion() { return 13000; }

API const char* cudnnGetErrorString(int status) {
    return status == kCudnnDeviceAllocationFailed
               ? "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"
               : "CUDNN_STATUS_INTERNAL_ERROR";
}

API int cudnnCreate(void** handle) {
    return fails_now("cudnnCreate") ? kCudnnDeviceAllocationFailed : new_handle(handle);
}

API int cudnnDestroy(void* handle) { return free_handle(handle); }

API void cudnnGetLastErrorString(char* text, size_t size) {
    if (size) text[0] = 0;
}

API int cudnnSetStream(void* handle, cudaStream_t stream) { return set_stream(handle, stream); }

API int cudnnGetStream(void* handle, cudaStream_t* stream) {
    *stream = stream_of(handle);
    return 0;
}

API int cudnnBackendCreateDescriptor(int, void** descriptor) { return new_handle(descriptor); }
API int cudnnBackendDestroyDescriptor(void* descriptor) { return free_handle(descriptor); }
API int cudnnBackendFinalize(void*) { return 0; }
API int cudnnBackendSetAttribute(void*, int, int, long long, const void*) { return 0; }

// One engine is found for every operation. Its numbers, such as the workspace, are 0; its lists of
// numbers, such as the numerical notes, are empty.
API int cudnnBackendGetAttribute(void*, int, int type, long long wanted, long long* count,
                                 void* values) {
    long long found = 0;
    if (type == kCudnnTypeBackendDescriptor) {
        found = 1;
    } else if (type == kCudnnTypeInt64 && values && wanted > 0) {
        memset(values, 0, wanted * sizeof(long long));
        found = wanted == 1;
    }
    if (count) *count = found;
    return 0;
}

API int cudnnBackendExecute(void* handle, void*, void*) {
    submit("convolution", stream_of(handle));
    return 0;
}
