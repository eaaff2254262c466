// Streams, events, captures and graphs. No work takes time, so nothing is ever waited for.
#include <pthread.h>

#include <map>
#include <utility>

#include "state.h"

namespace fake {

static std::map<const void*, Stream*>& streams() {
    static auto* instance = new std::map<const void*, Stream*>();  // never destroyed
    return *instance;
}

static int streams_created = 0;
static unsigned long long captures_begun = 0;
static thread_local cudaStreamCaptureMode mode_of_thread = cudaStreamCaptureModeGlobal;

Stream* find_stream(const void* handle) {
    static auto* default_stream = new Stream();
    Lock lock(mutex());
    auto found = streams().find(handle);
    return found == streams().end() ? default_stream : found->second;
}

// The rules of cudaStreamBeginCapture: a global capture forbids unsafe calls to all threads, a
// thread-local one to its own thread, and a relaxed one to none.
static bool forbids_unsafe_calls(const Stream& stream) {
    if (!stream.graph || stream.mode == cudaStreamCaptureModeRelaxed) return false;
    return stream.mode == cudaStreamCaptureModeGlobal || stream.capturing_thread == pthread_self();
}

cudaError_t refuse_during_capture(const char* function) {
    Lock lock(mutex());
    if (mode_of_thread == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    for (auto& [handle, stream] : streams()) {
        if (!forbids_unsafe_calls(*stream)) continue;
        stream->invalidated = true;
        return refuse(cudaErrorStreamCaptureUnsupported, function);
    }
    return cudaSuccess;
}

// Refuse to wait for a stream that is captured.
static cudaError_t refuse_if_captured(Stream* stream, const char* function) {
    if (!stream->graph) return cudaSuccess;
    stream->invalidated = true;
    return refuse(cudaErrorStreamCaptureUnsupported, function);
}

static cudaError_t create_stream(cudaStream_t* handle, int priority) {
    Lock lock(mutex());
    auto* stream = new Stream();
    stream->number = ++streams_created;
    stream->device = current_device();
    stream->priority = priority;
    streams()[stream] = stream;
    *handle = reinterpret_cast<cudaStream_t>(stream);
    return cudaSuccess;
}

struct Event {
    int device;
};

static cudaError_t create_event(cudaEvent_t* event, unsigned flags) {
    *event = reinterpret_cast<cudaEvent_t>(new Event{current_device()});
    bool blocking = flags & cudaEventBlockingSync;
    log_call("create event", nullptr, blocking ? "blocking" : "spinning");
    return cudaSuccess;
}

}  // namespace fake

using namespace fake;

API cudaError_t cudaStreamCreate(cudaStream_t* stream) { return create_stream(stream, 0); }

API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    return create_stream(stream, 0);
}

API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int priority) {
    return create_stream(stream, priority);
}

API cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }

API cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
    *priority = find_stream(stream)->priority;
    return cudaSuccess;
}

API cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    Lock lock(mutex());
    Stream* stream = find_stream(handle);
    if (auto error = refuse_if_captured(stream, "cudaStreamSynchronize")) return error;
    log_call("synchronize", stream, "stream");
    return cudaSuccess;
}

API cudaError_t cudaStreamQuery(cudaStream_t stream) {
    Lock lock(mutex());
    return refuse_if_captured(find_stream(stream), "cudaStreamQuery");
}

API cudaError_t cudaDeviceSynchronize() {
    Lock lock(mutex());
    for (auto& [handle, stream] : streams())
        if (auto error = refuse_if_captured(stream, "cudaDeviceSynchronize")) return error;
    log_call("synchronize", nullptr, "device");
    return cudaSuccess;
}

API cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t, unsigned) {
    log_call("wait", find_stream(stream));
    return cudaSuccess;
}

API cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
    submit("host function", stream);
    function(argument);
    return cudaSuccess;
}

API cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function,
                                      void* argument, unsigned) {
    submit("host function", stream);
    function(stream, cudaSuccess, argument);
    return cudaSuccess;
}

// Events

API cudaError_t cudaEventCreate(cudaEvent_t* event) { return create_event(event, 0); }

API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    return create_event(event, flags);
}

API cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete reinterpret_cast<Event*>(event);
    return cudaSuccess;
}

API cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
    Stream* stream = find_stream(handle);
    int device = stream->number ? stream->device : current_device();
    if (reinterpret_cast<Event*>(event)->device != device)
        return refuse(cudaErrorInvalidResourceHandle, "cudaEventRecord");
    log_call("record", stream);
    return cudaSuccess;
}

API cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
    return cudaEventRecord(event, stream);
}

API cudaError_t cudaEventQuery(cudaEvent_t) { return refuse_during_capture("cudaEventQuery"); }

API cudaError_t cudaEventSynchronize(cudaEvent_t) {
    if (fails_now("cudaEventSynchronize"))
        return refuse(cudaErrorIllegalAddress, "cudaEventSynchronize");
    if (auto error = refuse_during_capture("cudaEventSynchronize")) return error;
    log_call("synchronize", nullptr, "event");
    return cudaSuccess;
}

API cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) {
    *ms = 1;
    return cudaSuccess;
}

// Captures and graphs

API cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    std::swap(mode_of_thread, *mode);
    return cudaSuccess;
}

API cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    Lock lock(mutex());
    Stream* stream = find_stream(handle);
    if (!stream->number) return refuse(cudaErrorStreamCaptureImplicit, "cudaStreamBeginCapture");
    stream->graph = new Graph();  // never destroyed: a few bytes
    stream->invalidated = false;
    stream->mode = mode;
    stream->capture_id = ++captures_begun;
    stream->capturing_thread = pthread_self();
    const char* modes[] = {"global", "thread-local", "relaxed"};
    log_call("begin capture", stream, modes[mode]);
    return cudaSuccess;
}

API cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t,
                                              const cudaGraphNode_t*, const cudaGraphEdgeData*,
                                              size_t, cudaStreamCaptureMode mode) {
    return cudaStreamBeginCapture(stream, mode);
}

API cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
    Lock lock(mutex());
    Stream* stream = find_stream(handle);
    *graph = stream->invalidated ? nullptr : reinterpret_cast<cudaGraph_t>(stream->graph);
    log_call("end capture", stream, std::to_string(stream->graph->nodes));
    stream->graph = nullptr;
    if (stream->invalidated)
        return refuse(cudaErrorStreamCaptureInvalidated, "cudaStreamEndCapture");
    return cudaSuccess;
}

API cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                         unsigned long long* id, cudaGraph_t* graph,
                                         const cudaGraphNode_t** dependencies,
                                         const cudaGraphEdgeData** edges, size_t* count) {
    Lock lock(mutex());
    Stream* stream = find_stream(handle);
    *status = !stream->graph        ? cudaStreamCaptureStatusNone
              : stream->invalidated ? cudaStreamCaptureStatusInvalidated
                                    : cudaStreamCaptureStatusActive;
    if (id) *id = stream->capture_id;
    if (graph) *graph = reinterpret_cast<cudaGraph_t>(stream->graph);
    if (dependencies) *dependencies = nullptr;
    if (edges) *edges = nullptr;
    if (count) *count = 0;
    return cudaSuccess;
}

API cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    return cudaStreamGetCaptureInfo(stream, status, nullptr, nullptr, nullptr, nullptr, nullptr);
}

API cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
    *count = reinterpret_cast<Graph*>(graph)->nodes;
    return cudaSuccess;
}

API cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                              unsigned long long) {
    *executable = reinterpret_cast<cudaGraphExec_t>(graph);
    return cudaSuccess;
}

API cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    if (fails_now("cudaGraphLaunch")) return refuse(cudaErrorIllegalAddress, "cudaGraphLaunch");
    submit("graph", stream, std::to_string(reinterpret_cast<Graph*>(executable)->nodes));
    return cudaSuccess;
}

API cudaError_t cudaGraphDestroy(cudaGraph_t) { return cudaSuccess; }

API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return cudaSuccess; }
