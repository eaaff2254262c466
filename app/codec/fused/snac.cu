// Kernels of SNAC's decoder. Arrays are (rows, channels, steps) unless a comment says otherwise,
// and a block is `blockIdx.x` of rows x channels. A row has `rate` x `lengths[row]` steps; the
// steps behind them are padding.

#include "elements.cuh"

constexpr int THREADS = 256;
constexpr int TILE = 1024;  // steps of a block
constexpr int LATENTS = 4;  // of a frame
constexpr int BOOKS = 3;
constexpr int CODES = 7;    // of a frame
constexpr int VOCABULARY = 4096;
constexpr int TAPS = 7;     // of a depthwise convolution, and of the last one
constexpr int MAX_DILATION = 9;

// x + sin^2(alpha x) / alpha; `snake` has alpha of all channels, then 1 / alpha. Null: x.
__device__ float bend(float x, const float* snake, int channel, int channels) {
  if (!snake) return x;
  const float sine = sinf(snake[channel] * x);
  return fmaf(sine * sine, snake[channels + channel], x);
}

__device__ bool is_padding(int step, const long long* lengths, int row, int rate) {
  return step >= rate * lengths[row];
}

// The sum of the vectors of a latent's three codes; 0 in the padding. `slots` are the places of
// these codes in the frame.
// blocks (frames, rows); codes (rows, frames, 7), slots (3, 4), tables (3, 4096, channels)
extern "C" __global__ void embed_codes(const int* codes, const long long* lengths,
                                       const int* slots, const Element* tables, Element* out,
                                       int channels, int frames) {
  const int frame = blockIdx.x, row = blockIdx.y;
  const int* frame_codes = codes + ((long long)row * frames + frame) * CODES;
  for (int channel = threadIdx.x; channel < channels; channel += THREADS) {
    Four<Element> latents;
    for (int latent = 0; latent < LATENTS; latent++) {
      float sum = 0;
      for (int book = 0; book < BOOKS; book++) {
        const int entry = book * VOCABULARY + frame_codes[slots[book * LATENTS + latent]];
        sum += to_float(tables[(long long)entry * channels + channel]);
      }
      latents.values[latent] = to_element(frame < lengths[row] ? sum : 0.0f);
    }
    store_four(out + (((long long)row * channels + channel) * frames + frame) * LATENTS, latents);
  }
}

// A convolution of each channel by itself, with Snake before and after it.
// blocks (rows x channels, steps / TILE); weight (channels, TAPS)
extern "C" __global__ void depthwise(const Element* x, const float* snake_before,
                                     const float* weight, const float* bias,
                                     const float* snake_after, Element* out, int channels,
                                     int steps, int dilation) {
  __shared__ float inputs[TILE + (TAPS - 1) * MAX_DILATION];
  const int channel = blockIdx.x % channels, start = blockIdx.y * TILE;
  const int count = steps - start < TILE ? steps - start : TILE;
  const int reach = TAPS / 2 * dilation;
  const long long first = (long long)blockIdx.x * steps;
  for (int i = threadIdx.x; i < count + 2 * reach; i += THREADS) {
    const int step = start - reach + i;
    const bool inside = step >= 0 && step < steps;
    inputs[i] = inside ? bend(to_float(x[first + step]), snake_before, channel, channels) : 0.0f;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < count; i += THREADS) {
    float sum = bias[channel];
    for (int tap = 0; tap < TAPS; tap++)
      sum = fmaf(weight[channel * TAPS + tap], inputs[i + tap * dilation], sum);
    out[first + start + i] = to_element(bend(sum, snake_after, channel, channels));
  }
}

// Sets the product to Snake of x + product + bias, or without x where it is null; 0 in the padding.
// blocks (rows x channels, steps / TILE), four steps a thread
extern "C" __global__ void finish_unit(const Element* x, Element* product, const float* bias,
                                       const float* snake, const long long* lengths, int channels,
                                       int steps, int rate) {
  const int row = blockIdx.x / channels, channel = blockIdx.x % channels;
  const int step = blockIdx.y * TILE + threadIdx.x * 4;
  if (step >= steps) return;
  const long long at = (long long)blockIdx.x * steps + step;
  Four<Element> result = load_four(product + at), residual = {};
  if (x) residual = load_four(x + at);
  for (int i = 0; i < 4; i++) {
    const float old = x ? to_float(residual.values[i]) : 0.0f;
    const float sum = old + to_float(result.values[i]) + bias[channel];
    const bool padding = is_padding(step + i, lengths, row, rate);
    result.values[i] = to_element(padding ? 0.0f : bend(sum, snake, channel, channels));
  }
  store_four(product + at, result);
}

// Adds noise x gain to x, with the noise of the position in the stream; 0 in the padding.
// blocks (rows x channels, steps / TILE), four steps a thread; noise (period)
extern "C" __global__ void add_noise(Element* x, const Element* gain, const float* noise,
                                     const long long* first_frames, const long long* lengths,
                                     int channels, int steps, int rate, int period) {
  const int row = blockIdx.x / channels, step = blockIdx.y * TILE + threadIdx.x * 4;
  if (step >= steps) return;
  const long long at = (long long)blockIdx.x * steps + step;
  const long long place = rate * first_frames[row] + step;
  Four<Element> result = load_four(x + at);
  const Four<Element> gains = load_four(gain + at);
  for (int i = 0; i < 4; i++) {
    const float value = noise[(place + i) % period];
    const float sum = fmaf(value, to_float(gains.values[i]), to_float(result.values[i]));
    result.values[i] = to_element(is_padding(step + i, lengths, row, rate) ? 0.0f : sum);
  }
  store_four(x + at, result);
}

// The last convolution, to one channel, tanh, and the peak of each row.
// blocks (steps / THREADS, rows); weight (channels, TAPS), bias (1); samples (rows, steps); peaks
// (rows), 0 before
extern "C" __global__ void waveform(const Element* x, const float* weight, const float* bias,
                                    const long long* lengths, Sample* samples, float* peaks,
                                    int channels, int steps, int rate) {
  const int row = blockIdx.y, step = blockIdx.x * THREADS + threadIdx.x;
  float sum = bias[0], peak = 0;
  for (int channel = 0; channel < channels; channel++) {
    const Element* from = x + ((long long)row * channels + channel) * steps;
    for (int tap = 0; tap < TAPS; tap++) {
      const int place = step + tap - TAPS / 2;
      if (place >= 0 && place < steps)
        sum = fmaf(weight[channel * TAPS + tap], to_float(from[place]), sum);
    }
  }
  const float value = tanhf(sum);
  if (step < steps) {
    samples[(long long)row * steps + step] = to_sample(value);
    if (!is_padding(step, lengths, row, rate)) peak = fabsf(value);
  }
  raise_peak(peaks + row, peak);
}
