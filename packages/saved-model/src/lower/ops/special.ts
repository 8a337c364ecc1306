// Special functions of one operand that ONNX does not have.

import type { Tensor } from "@cloister/encoding/tensor";
import { newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

function unary(calculate: (x: number) => number): Lowering {
  return hostOp(
    sameShape((op) => op.input(0).dtype),
    (op) => {
      const { dtype } = op.input(0);
      if (dtype !== "float" && dtype !== "double") return unlowerable(`on ${dtype}`);
      return ([value]) => {
        const { shape, data } = value as Tensor;
        const result = newArray(dtype, data.length) as Float64Array;
        for (const [index, x] of (data as Float64Array).entries()) result[index] = calculate(x);
        return [{ dtype, shape, data: result }];
      };
    },
  );
}

/** Lanczos' approximation with g = 7 and nine terms (Godfrey's coefficients): 15 digits. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** The logarithm of |gamma(x)|. */
function lgamma(x: number): number {
  if (Number.isInteger(x) && x <= 0) return Number.POSITIVE_INFINITY;
  if (x === Number.POSITIVE_INFINITY || x === Number.NEGATIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgamma(1 - x);
  const shifted = x - 1;
  let sum = LANCZOS[0] as number;
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] as number) / (shifted + i);
  const t = shifted + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** The derivative of lgamma: recurrence up to 10, then the asymptotic series. */
function digamma(x: number): number {
  if (x <= 0) {
    if (Number.isInteger(x)) return Number.NaN;
    return digamma(1 - x) - Math.PI / Math.tan(Math.PI * x);
  }
  let result = 0;
  let at = x;
  for (; at < 10; at++) result -= 1 / at;
  const square = 1 / (at * at);
  const series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square / 132))));
  return result + Math.log(at) - 0.5 / at - series;
}

/** The inverse of the normal distribution: Acklam's rational approximation, then two steps of Halley's method. */
function ndtri(p: number): number {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p === 0) return Number.NEGATIVE_INFINITY;
  if (p === 1) return Number.POSITIVE_INFINITY;
  if (p > 0.5) return -ndtri(1 - p);
  let x = acklam(p);
  for (let step = 0; step < 2; step++) {
    const error = 0.5 * erfc(-x / Math.SQRT2) - p;
    const u = error * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
    x -= u / (1 + (x * u) / 2);
  }
  return x;
}

const A = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239,
];
const B = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
const C = [
  -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
];
const D = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);
}

function acklam(p: number): number {
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(C, q) / polynomial(D, q);
  }
  const q = p - 0.5;
  return (polynomial(A, q * q) * q) / polynomial(B, q * q);
}

/** 1 - erf(x) for x of any sign: a series near zero, a continued fraction beyond. */
function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2) {
    let [term, sum] = [x, x];
    for (let n = 1; n < 60; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 60; k >= 1; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + fraction));
}

function erfinv(x: number): number {
  return x === 0 ? x : ndtri((x + 1) / 2) / Math.SQRT2;
}

/** exp(-|x|) times the modified Bessel function of the first kind, of order 0 or 1: its integral over half a turn. */
function besselE(order: 0 | 1): (x: number) => number {
  const STEPS = 400;
  return (x) => {
    const magnitude = Math.abs(x);
    // The trapezoid rule over a period of a smooth function converges faster than any power of the step.
    let sum = 0;
    for (let i = 0; i <= STEPS; i++) {
      const angle = (Math.PI * i) / STEPS;
      const value = Math.exp(magnitude * (Math.cos(angle) - 1)) * Math.cos(order * angle);
      sum += i === 0 || i === STEPS ? value / 2 : value;
    }
    const result = sum / STEPS;
    return order === 1 && x < 0 ? -result : result;
  };
}

export const SPECIAL: LoweringTable = {
  BesselI0e: unary(besselE(0)),
  BesselI1e: unary(besselE(1)),
  Digamma: unary(digamma),
  Erfinv: unary(erfinv),
  Lgamma: unary(lgamma),
  Ndtri: unary(ndtri),
};
