// Kernels of NeuCodec's decoder. Arrays are (rows, frames, channels) unless a comment says
// otherwise. A row has `lengths[row]` frames; the frames behind them are padding.

#include "elements.cuh"

constexpr int WIDTH = 1024;
constexpr int DIGITS = 8;           // of a code, 0 to 3 each
constexpr int GROUPS = 32;          // of channels, in a norm
constexpr int GROUP_CHANNELS = 32;  // one for each thread of a warp
constexpr float EPS = 1e-6f;
constexpr int HOP = 480;  // samples of a frame
constexpr int FFT = 1920;
constexpr int BINS = FFT / 2 + 1;

__device__ long long frame_start(int row, int frames, int frame) {
  return ((long long)row * frames + frame) * WIDTH;
}

// Digits of a code as numbers -1, -0.5, 0 or 0.5, then a linear map to all channels; 0 in the
// padding. A block is a frame, of which a thread computes four channels.
// blocks (frames, rows), 256 threads; codes (rows, frames), weight (channels, digits)
extern "C" __global__ void embed_codes(const int* codes, const long long* lengths,
                                       const float* weight, const float* bias, Element* out,
                                       int frames) {
  const int frame = blockIdx.x, row = blockIdx.y, first = threadIdx.x * 4;
  const int code = codes[row * frames + frame];
  Four<Element> result;
  for (int i = 0; i < 4; i++) {
    const int channel = first + i;
    float sum = 0;
    for (int digit = 0; digit < DIGITS; digit++) {
      const float value = (float)(((code >> (2 * digit)) & 3) - 2) * 0.5f;
      sum = fmaf(value, weight[channel * DIGITS + digit], sum);
    }
    result.values[i] = to_element(frame < lengths[row] ? sum + bias[channel] : 0.0f);
  }
  store_four(out + frame_start(row, frames, frame) + first, result);
}

// Adds up a value of each of 256 threads; the sum is in all of them.
__device__ float block_sum(float value) {
  __shared__ float sums[8];
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
  __syncthreads();
  value = 0;
  for (int warp = 0; warp < 8; warp++) value += sums[warp];
  __syncthreads();  // before the next call overwrites the sums
  return value;
}

// Mean and 1 / deviation of a group of channels over the frames of a row, in two passes. `offset`
// is added to each channel first; null: nothing. A block is a group, a warp takes every 8th frame.
// blocks (groups, rows), 256 threads; statistics (rows, groups, 2)
template <typename T>
__device__ void group_statistics(const T* x, const float* offset, const long long* lengths,
                                 float* statistics, int frames) {
  const int group = blockIdx.x, row = blockIdx.y, warp = threadIdx.x / 32;
  const int channel = group * GROUP_CHANNELS + threadIdx.x % 32, length = (int)lengths[row];
  const float shift = offset ? offset[channel] : 0.0f;
  const T* from = x + frame_start(row, frames, 0) + channel;
  const float count = (float)length * GROUP_CHANNELS;

  float sum = 0;
  for (int frame = warp; frame < length; frame += 8) sum += to_float(from[frame * WIDTH]) + shift;
  const float mean = block_sum(sum) / count;

  float squares = 0;
  for (int frame = warp; frame < length; frame += 8) {
    const float distance = to_float(from[frame * WIDTH]) + shift - mean;
    squares = fmaf(distance, distance, squares);
  }
  const float variance = block_sum(squares) / count;

  if (threadIdx.x == 0) {
    statistics[(row * GROUPS + group) * 2] = mean;
    statistics[(row * GROUPS + group) * 2 + 1] = rsqrtf(variance + EPS);
  }
}

extern "C" __global__ void stream_statistics(const float* x, const float* offset,
                                             const long long* lengths, float* statistics,
                                             int frames) {
  group_statistics(x, offset, lengths, statistics, frames);
}

extern "C" __global__ void hidden_statistics(const Element* x, const float* offset,
                                             const long long* lengths, float* statistics,
                                             int frames) {
  group_statistics(x, offset, lengths, statistics, frames);
}

// The norm with these statistics, then SiLU; 0 in the padding.
// blocks (frames, rows), 256 threads
template <typename T>
__device__ void normalise(const T* x, const float* offset, const float* statistics,
                          const float* weight, const float* bias, const long long* lengths,
                          Element* out, int frames) {
  const int frame = blockIdx.x, row = blockIdx.y, first = threadIdx.x * 4;
  const long long at = frame_start(row, frames, frame) + first;
  Four<Element> result;
  if (frame < lengths[row]) {
    const float* group = statistics + (row * GROUPS + first / GROUP_CHANNELS) * 2;
    const Four<T> inputs = load_four(x + at);
    for (int i = 0; i < 4; i++) {
      const int channel = first + i;
      const float value = to_float(inputs.values[i]) + (offset ? offset[channel] : 0.0f);
      const float normed = fmaf((value - group[0]) * group[1], weight[channel], bias[channel]);
      result.values[i] = to_element(normed / (1.0f + expf(-normed)));
    }
  } else {
    for (int i = 0; i < 4; i++) result.values[i] = to_element(0.0f);
  }
  store_four(out + at, result);
}

extern "C" __global__ void normalise_stream(const float* x, const float* offset,
                                            const float* statistics, const float* weight,
                                            const float* bias, const long long* lengths,
                                            Element* out, int frames) {
  normalise(x, offset, statistics, weight, bias, lengths, out, frames);
}

extern "C" __global__ void normalise_hidden(const Element* x, const float* offset,
                                            const float* statistics, const float* weight,
                                            const float* bias, const long long* lengths,
                                            Element* out, int frames) {
  normalise(x, offset, statistics, weight, bias, lengths, out, frames);
}

// stream = hidden + bias, or += with `add`. A block is a frame.
// blocks (frames x rows), 256 threads
extern "C" __global__ void update_stream(float* stream, const Element* hidden, const float* bias,
                                         int add) {
  const int first = threadIdx.x * 4;
  const long long at = (long long)blockIdx.x * WIDTH + first;
  const Four<Element> values = load_four(hidden + at);
  Four<float> result = {};
  if (add) result = load_four(stream + at);
  for (int i = 0; i < 4; i++) result.values[i] += to_float(values.values[i]) + bias[first + i];
  store_four(stream + at, result);
}

// RMSNorm of each of `count` frames, by a warp each.
// blocks (count / 8), 256 threads
extern "C" __global__ void rms_norm(const float* x, const float* weight, Element* out, int count) {
  const int frame = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (frame >= count) return;
  Four<float> parts[WIDTH / 128];
  float squares = 0;
  for (int part = 0; part < WIDTH / 128; part++) {
    parts[part] = load_four(x + (long long)frame * WIDTH + part * 128 + lane * 4);
    for (const float value : parts[part].values) squares = fmaf(value, value, squares);
  }
  const float scale = rsqrtf(warp_sum(squares) / WIDTH + EPS);
  for (int part = 0; part < WIDTH / 128; part++) {
    const int first = part * 128 + lane * 4;
    Four<Element> result;
    for (int i = 0; i < 4; i++)
      result.values[i] = to_element(parts[part].values[i] * scale * weight[first + i]);
    store_four(out + (long long)frame * WIDTH + first, result);
  }
}

// Log magnitudes and phases to complex numbers. The first and the last bin of the spectrum of a
// real signal have no imaginary part; cuFFT does not ignore it at every length.
// blocks (frames x rows, 4), 256 threads; head (frames, 2 x bins), spectrum (frames, bins, 2)
extern "C" __global__ void polar_spectrum(const float* head, float* spectrum) {
  const int bin = blockIdx.y * 256 + threadIdx.x;
  if (bin >= BINS) return;
  const float* outputs = head + (long long)blockIdx.x * 2 * BINS;
  float magnitude = expf(outputs[bin]), sine, cosine;
  if (magnitude > 100.0f) magnitude = 100.0f;  // fminf would return 100 for NaN
  sincosf(outputs[BINS + bin], &sine, &cosine);
  float* result = spectrum + ((long long)blockIdx.x * BINS + bin) * 2;
  result[0] = magnitude * cosine;
  result[1] = bin == 0 || bin == BINS - 1 ? 0.0f : magnitude * sine;
}

// Windows, overlap-add of the frames of a row, division by the sum of the squared windows, and the
// peak of each row. Frame i is centred on sample HOP x i + HOP / 2. A block is HOP samples.
// blocks (frames, rows), 256 threads; waves (rows, frames, FFT) from an inverse transform that does
// not divide by FFT; samples (rows, frames x HOP); peaks (rows), 0 before
extern "C" __global__ void overlap_add(const float* waves, const float* window,
                                       const long long* lengths, Sample* samples, float* peaks,
                                       int frames) {
  const int row = blockIdx.y, length = (int)lengths[row];
  float peak = 0;
  for (int sample = threadIdx.x; sample < HOP; sample += 256) {
    const int place = blockIdx.x * HOP + sample + (FFT - HOP) / 2;  // from the start of frame 0
    const int last = place / HOP, first = last < FFT / HOP ? 0 : last - FFT / HOP + 1;
    float sum = 0, squares = 0;
    for (int frame = first; frame <= last && frame < length; frame++) {
      const int at = place - frame * HOP;
      const float weight = window[at];
      sum = fmaf(waves[((long long)row * frames + frame) * FFT + at], weight, sum);
      squares = fmaf(weight, weight, squares);
    }
    const float value = sum * (1.0f / FFT) / fmaxf(squares, 1e-11f);
    if (blockIdx.x < length) peak = larger(peak, fabsf(value));
    samples[((long long)row * frames + blockIdx.x) * HOP + sample] = to_sample(value);
  }
  raise_peak(peaks + row, peak);
}
