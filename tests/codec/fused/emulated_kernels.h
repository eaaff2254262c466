// CUDA's built-in names on a CPU, and a function that runs the threads of a block in turn: each one
// up to its next barrier or shuffle, so that none goes on before all have arrived there.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#define EMULATED
#define __global__
#define __device__ static inline
#define __shared__ static

struct Index {
  int x, y, z;
};
static Index blockIdx, threadIdx;

namespace emulation {

enum Stop { READY, BARRIER, SHUFFLE, FINISHED };

constexpr int STACK_BYTES = 64 * 1024;
constexpr int MAX_THREADS = 256;

struct Thread {
  std::vector<char> stack = std::vector<char>(STACK_BYTES);
  jmp_buf place;
  bool started;
  Stop stop;
  int shuffles;
};

static Thread threads[MAX_THREADS];
static jmp_buf block;
static const std::function<void()>* kernel;
static float exchanged[2][MAX_THREADS];  // by alternate shuffles

static void stop(Stop reason) {
  Thread& thread = threads[threadIdx.x];
  thread.stop = reason;
  if (_setjmp(thread.place) == 0) _longjmp(block, 1);
}

static void run_thread() {
  while (true) {
    (*kernel)();
    stop(FINISHED);
  }
}

// Runs a thread up to its next stop. Jumps take a twentieth of the time of swapcontext.
__attribute__((noinline)) static void resume(Thread& thread) {
  threadIdx = {int(&thread - threads), 0, 0};
  if (_setjmp(block) != 0) return;
  if (thread.started) _longjmp(thread.place, 1);
  thread.started = true;
  ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = thread.stack.data();
  context.uc_stack.ss_size = STACK_BYTES;
  makecontext(&context, run_thread, 0);
  setcontext(&context);
}

// Runs one block; false if its threads stop at different kinds of barriers.
static bool run_block(int count, bool backwards) {
  for (Thread& thread : threads) thread.stop = READY, thread.shuffles = 0;
  for (bool running = true; running;) {
    running = false;
    Stop stopped = FINISHED;
    for (int i = 0; i < count; i++) {
      Thread& thread = threads[backwards ? count - 1 - i : i];
      if (thread.stop == FINISHED) continue;
      resume(thread);
      if (thread.stop == FINISHED) continue;
      if (running && thread.stop != stopped) return false;
      running = true;
      stopped = thread.stop;
    }
  }
  return true;
}

static int run(int blocks_x, int blocks_y, int count, bool backwards, std::function<void()> body) {
  kernel = &body;
  for (int y = 0; y < blocks_y; y++)
    for (int x = 0; x < blocks_x; x++) {
      blockIdx = {x, y, 0};
      if (run_block(count, backwards)) continue;
      for (Thread& thread : threads) thread.started = false;
      return 1;
    }
  return 0;
}

}  // namespace emulation

static void __syncthreads() { emulation::stop(emulation::BARRIER); }

static float __shfl_xor_sync(unsigned, float value, int distance) {
  const int self = threadIdx.x;
  float* lanes = emulation::exchanged[emulation::threads[self].shuffles++ % 2];
  lanes[self] = value;
  emulation::stop(emulation::SHUFFLE);
  return lanes[self ^ distance];
}

static unsigned atomicMax(unsigned* place, unsigned value) {
  const unsigned before = *place;
  if (value > before) *place = value;
  return before;
}

static float rsqrtf(float value) { return 1.0f / std::sqrt(value); }

static unsigned __float_as_uint(float value) {
  unsigned bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float __uint_as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static unsigned short half_bits(float value) {
#if defined(__F16C__)
  return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
#else
  const __fp16 half = value;  // g++ on ARM
  unsigned short bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
#endif
}

static float half_value(unsigned short bits) {
#if defined(__F16C__)
  return _cvtsh_ss(bits);
#else
  __fp16 half;
  memcpy(&half, &bits, sizeof half);
  return half;
#endif
}
