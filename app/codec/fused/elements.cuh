// Types and sums that the kernels share. Options of the compiler choose the types:
//   ELEMENT      of the matrix products: 0 float32, 1 float16, 2 bfloat16
//   INT16_STEPS  samples are int16, and this is the int16 of a sample of 1; undefined: float32
// No header is included, because CUDA's are not part of an image without a compiler.

#if ELEMENT == 0
struct Element {
  float value;
};
__device__ Element to_element(float value) { return {value}; }
__device__ float to_float(Element element) { return element.value; }
#else
struct Element {
  unsigned short bits;
};
#if ELEMENT == 2
__device__ Element to_element(float value) {
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return {0x7fff};  // NaN; rounding could make it infinite
  return {(unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};  // ties to even
}
__device__ float to_float(Element element) { return __uint_as_float((unsigned)element.bits << 16); }
#else
#ifndef EMULATED  // in tests, which define these two for a CPU
__device__ unsigned short half_bits(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
__device__ float half_value(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
#endif
__device__ Element to_element(float value) { return {half_bits(value)}; }
__device__ float to_float(Element element) { return half_value(element.bits); }
#endif
#endif
__device__ float to_float(float value) { return value; }

#ifdef INT16_STEPS
typedef short Sample;
__device__ Sample to_sample(float value) {
  return (Sample)rintf(fminf(fmaxf(value * INT16_STEPS, -32768.0f), 32767.0f));
}
#else
typedef float Sample;
__device__ Sample to_sample(float value) { return value; }
#endif

// Four neighbours in memory, which are read and written at once.
template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T values[4];
};

template <typename T>
__device__ Four<T> load_four(const T* from) {
  return *(const Four<T>*)from;
}

template <typename T>
__device__ void store_four(T* to, const Four<T>& four) {
  *(Four<T>*)to = four;
}

// The sum over the 32 threads of a warp, in each of them.
__device__ float warp_sum(float value) {
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffff, value, distance);
  return value;
}

// The larger of two magnitudes; NaN if one of them is.
__device__ float larger(float a, float b) { return a >= b || a != a ? a : b; }

// Raises the peak of a row to a magnitude, with all threads of the warp. The bits of magnitudes are
// in the order of the magnitudes, those of NaN above all others.
__device__ void raise_peak(float* peak, float magnitude) {
  for (int distance = 16; distance > 0; distance /= 2)
    magnitude = larger(magnitude, __shfl_xor_sync(0xffffffff, magnitude, distance));
  if (threadIdx.x % 32 == 0) atomicMax((unsigned*)peak, __float_as_uint(magnitude));
}
