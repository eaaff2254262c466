// State of the fake driver, which all its files share.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <mutex>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace fake {

// The host calls that are made one at a time hold this lock. Callbacks may call back.
using Lock = std::lock_guard<std::recursive_mutex>;
std::recursive_mutex& mutex();

// The imitated card, from environment variables (see device.cpp).
constexpr int kMaxDevices = 16;
constexpr size_t kMiB = 1 << 20;
int device_count();
int compute_capability();  // 90 is sm_90
int multiprocessors();
int max_shared_bytes_per_block();  // the most that a kernel can opt in to
size_t memory_bytes();             // of one device

int current_device();  // of the calling thread

// A graph under capture, or one that is finished. Only its number of nodes is known.
struct Graph {
    size_t nodes = 0;
};

struct Stream {
    int number = 0;  // 0: the default stream of the device that is current
    int device = 0;
    int priority = 0;
    Graph* graph = nullptr;  // the capture in progress, if any
    bool invalidated = false;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    unsigned long long capture_id = 0;
    unsigned long capturing_thread = 0;
};
Stream* find_stream(const void* handle);  // never null: unknown handles are the default stream

// Log one call, as five columns: kind, device, number of the stream, `captured` or `run`, detail.
void log_call(const char* kind, const Stream* stream, const std::string& detail = "");

// Log work that is submitted to a stream. While the stream is captured, it is a node of the graph.
void submit(const char* kind, const void* stream, const std::string& detail = "");

// Log and return an error of the runtime; cudaGetLastError returns it next.
cudaError_t refuse(cudaError_t error, const char* function);

// Refuse a call that CUDA forbids during a capture ("potentially unsafe"), and invalidate the
// capture.
cudaError_t refuse_during_capture(const char* function);

// True if the test has asked with fake_cuda_fail_next() that this function fails now.
bool fails_now(const char* function);

enum class MemoryKind { kDevice, kPinned };
MemoryKind* find_memory(const void* pointer);  // null: pageable

}  // namespace fake
