// Log of all calls and failures on request. The log is written from the start to
// FAKE_CUDA_LOG.<pid>, or to the file that the process names with fake_cuda_log().
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "state.h"

namespace fake {

static FILE* log_file = nullptr;

std::recursive_mutex& mutex() {
    static auto* instance = new std::recursive_mutex();  // never destroyed: exit handlers use it
    return *instance;
}

void log_call(const char* kind, const Stream* stream, const std::string& detail) {
    Lock lock(mutex());
    if (!log_file) return;
    bool created = stream && stream->number;
    fprintf(log_file, "%s\t%d\t%d\t%s\t%s\n", kind, created ? stream->device : current_device(),
            created ? stream->number : 0, created && stream->graph ? "captured" : "run",
            detail.c_str());
}

void submit(const char* kind, const void* handle, const std::string& detail) {
    Lock lock(mutex());
    Stream* stream = find_stream(handle);
    if (stream->graph) ++stream->graph->nodes;
    log_call(kind, stream, detail);
}

static std::string failing;  // function whose next call fails

bool fails_now(const char* function) {
    Lock lock(mutex());
    if (failing != function) return false;
    failing.clear();
    log_call("failed", nullptr, function);
    return true;
}

__attribute__((constructor)) static void log_from_the_start() {
    const char* path = getenv("FAKE_CUDA_LOG");
    if (!path) return;
    log_file = fopen((std::string(path) + "." + std::to_string(getpid())).c_str(), "w");
    if (log_file) setvbuf(log_file, nullptr, _IOLBF, 1 << 16);
}

}  // namespace fake

using namespace fake;

// Write the log to this file from now on; null: write no log.
API void fake_cuda_log(const char* path) {
    Lock lock(mutex());
    if (log_file) fclose(log_file);
    log_file = path ? fopen(path, "w") : nullptr;
}

// Let the next call of this function fail, if it is one of those that ask fails_now().
API void fake_cuda_fail_next(const char* function) {
    Lock lock(mutex());
    failing = function;
}

// Write a line of the caller's into the log.
API void fake_cuda_mark(const char* text) { log_call("mark", nullptr, text); }

// Called by the generated functions, which stand for those that the fake driver does not have.
API void fake_cuda_missing(const char* function) {
    fprintf(stderr, "fake driver: %s is not implemented\n", function);
    log_call("missing", nullptr, function);
}
