// Device memory and pinned memory, which are both memory of the host, and copies between them.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "state.h"

namespace fake {

constexpr size_t kDevicePage = 2 * kMiB;  // granularity of cudaMalloc
constexpr size_t kHostPage = 4096;

struct Range {
    size_t bytes;
    MemoryKind kind;
    int device;
    bool mapped;  // false: registered memory of the caller
};

static std::map<const char*, Range>& ranges() {
    static auto* instance = new std::map<const char*, Range>();  // never destroyed
    return *instance;
}

static size_t held_by_device[kMaxDevices];
static size_t held = 0;    // by all devices
static size_t peak = 0;    // of `held`
static size_t pinned = 0;  // page-locked memory of the host
static size_t limit = 0;   // of one device; 0: FAKE_CUDA_MEMORY_MB

size_t memory_bytes() {
    if (limit) return limit;
    const char* text = getenv("FAKE_CUDA_MEMORY_MB");
    return (text ? atoll(text) : 81559) * kMiB;
}

static const std::pair<const char* const, Range>* find_range(const void* pointer) {
    auto after = ranges().upper_bound(static_cast<const char*>(pointer));
    if (after == ranges().begin()) return nullptr;
    auto found = std::prev(after);
    bool inside = static_cast<const char*>(pointer) < found->first + found->second.bytes;
    return inside ? &*found : nullptr;
}

MemoryKind* find_memory(const void* pointer) {
    auto* found = const_cast<std::pair<const char* const, Range>*>(find_range(pointer));
    return found ? &found->second.kind : nullptr;
}

static cudaError_t allocate(void** pointer, size_t bytes, MemoryKind kind, const char* function) {
    Lock lock(mutex());
    if (auto error = refuse_during_capture(function)) return error;
    bool on_device = kind == MemoryKind::kDevice;
    size_t page = on_device ? kDevicePage : kHostPage;
    size_t rounded = std::max(page, (bytes + page - 1) / page * page);
    int device = current_device();
    if (on_device && held_by_device[device] + rounded > memory_bytes())
        return refuse(cudaErrorMemoryAllocation, function);
    *pointer = mmap(nullptr, rounded, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (*pointer == MAP_FAILED) return refuse(cudaErrorMemoryAllocation, function);
    ranges()[static_cast<char*>(*pointer)] = {rounded, kind, device, true};
    if (on_device) {
        held_by_device[device] += rounded;
        held += rounded;
        peak = std::max(peak, held);
    } else {
        pinned += rounded;
    }
    log_call(on_device ? "allocate" : "pin", nullptr, std::to_string(bytes));
    return cudaSuccess;
}

static cudaError_t release(void* pointer, const char* function) {
    Lock lock(mutex());
    if (!pointer) return cudaSuccess;
    if (auto error = refuse_during_capture(function)) return error;
    auto found = ranges().find(static_cast<char*>(pointer));
    if (found == ranges().end()) return refuse(cudaErrorInvalidValue, function);
    Range range = found->second;
    if (range.kind == MemoryKind::kDevice) {
        held_by_device[range.device] -= range.bytes;
        held -= range.bytes;
    } else {
        pinned -= range.bytes;
    }
    if (range.mapped) munmap(pointer, range.bytes);
    ranges().erase(found);
    log_call("release", nullptr, std::to_string(range.bytes));
    return cudaSuccess;
}

static const char* direction(const void* to, const void* from) {
    MemoryKind* target = find_memory(to);
    MemoryKind* source = find_memory(from);
    bool to_device = target && *target == MemoryKind::kDevice;
    bool from_device = source && *source == MemoryKind::kDevice;
    if (to_device && from_device) return "D2D";
    if (to_device) return source ? "H2D" : "H2D pageable";
    if (from_device) return target ? "D2H" : "D2H pageable";
    return "H2H";
}

// Copies are done at once, in the order of the calls. A captured copy is only counted.
static cudaError_t copy(void* to, const void* from, size_t bytes, const void* stream) {
    Lock lock(mutex());
    if (!find_stream(stream)->graph) memcpy(to, from, bytes);
    submit("copy", stream, std::string(direction(to, from)) + " " + std::to_string(bytes));
    return cudaSuccess;
}

static cudaError_t fill(void* to, int value, size_t bytes, const void* stream) {
    Lock lock(mutex());
    if (!find_stream(stream)->graph) memset(to, value, bytes);
    submit("fill", stream, std::to_string(bytes));
    return cudaSuccess;
}

}  // namespace fake

using namespace fake;

API size_t fake_cuda_held_bytes() { return held; }
API size_t fake_cuda_peak_bytes() { return peak; }
API size_t fake_cuda_pinned_bytes() { return pinned; }
API void fake_cuda_reset_peak() { peak = held; }

// Change the memory of every device from now on.
API void fake_cuda_set_memory_mb(size_t mb) { limit = mb * kMiB; }

API cudaError_t cudaMalloc(void** pointer, size_t bytes) {
    return allocate(pointer, bytes, MemoryKind::kDevice, "cudaMalloc");
}

API cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
    return allocate(pointer, bytes, MemoryKind::kPinned, "cudaHostAlloc");
}

API cudaError_t cudaFree(void* pointer) { return release(pointer, "cudaFree"); }

API cudaError_t cudaFreeHost(void* pointer) { return release(pointer, "cudaFreeHost"); }

API cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned) {
    Lock lock(mutex());
    ranges()[static_cast<char*>(pointer)] = {bytes, MemoryKind::kPinned, current_device(), false};
    pinned += bytes;
    return cudaSuccess;
}

API cudaError_t cudaHostUnregister(void* pointer) {
    return release(pointer, "cudaHostUnregister");
}

API cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    Lock lock(mutex());
    *total = memory_bytes();
    *free = *total - std::min(*total, held_by_device[current_device()]);
    return cudaSuccess;
}

API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
    Lock lock(mutex());
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = current_device();
    auto* found = find_range(pointer);
    if (!found) return cudaSuccess;
    bool on_device = found->second.kind == MemoryKind::kDevice;
    attributes->type = on_device ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
    attributes->device = found->second.device;
    attributes->devicePointer = const_cast<void*>(pointer);
    attributes->hostPointer = on_device ? nullptr : const_cast<void*>(pointer);
    return cudaSuccess;
}

API cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                                cudaStream_t stream) {
    return copy(to, from, bytes, stream);
}

API cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes,
                                    cudaStream_t stream) {
    return copy(to, from, bytes, stream);
}

API cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
    if (auto error = refuse_during_capture("cudaMemcpy")) return error;
    copy(to, from, bytes, nullptr);
    log_call("synchronize", nullptr, "copy");
    return cudaSuccess;
}

API cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
    return fill(to, value, bytes, stream);
}

API cudaError_t cudaMemset(void* to, int value, size_t bytes) {
    if (auto error = refuse_during_capture("cudaMemset")) return error;
    return fill(to, value, bytes, nullptr);
}
