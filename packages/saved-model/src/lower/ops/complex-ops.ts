/** Fourier transforms along one, two and three axes. */
export const TRANSFORMS: readonly string[] = ["", "2D", "3D"].flatMap((axes) =>
  ["FFT", "IFFT", "RFFT", "IRFFT"].map((name) => name + axes),
);

/** Ops that only complex numbers have, or that make some of real ones. */
export const COMPLEX_OPS: ReadonlySet<string> = new Set([
  "Angle",
  "Complex",
  "ComplexAbs",
  "Conj",
  "Imag",
  "Real",
  ...TRANSFORMS,
]);
