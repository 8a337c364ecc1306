// Numbers on the grids of small integers, and back: what TensorFlow's quantised dtypes hold are plain integers here.

import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { DTYPES, newArray } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { normalizeAxis, type Shape } from "../value.ts";

const { fround } = Math;
/** Where a range has no end on the side of zero, the other side alone says how wide a step is. */
const NO_SCALE = 3.4028234663852886e38;

type Round = (value: number) => number;

function awayFromZero(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value));
}

function toEven(value: number): number {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}

/** The integers of a quantised dtype. */
interface Integers {
  readonly dtype: "int8" | "uint8" | "int16" | "uint16" | "int32";
  readonly lowest: number;
  readonly highest: number;
}

function integersOf(op: Op): Integers {
  const dtype = op.attributes.dtype("T");
  if (dtype !== "int8" && dtype !== "uint8" && dtype !== "int16" && dtype !== "uint16" && dtype !== "int32") {
    return unlowerable(`on ${dtype ?? "such a dtype"}`);
  }
  const values = 2 ** (8 * DTYPES[dtype].bytes);
  const lowest = dtype.startsWith("u") ? 0 : -values / 2;
  return { dtype, lowest, highest: lowest + values - 1 };
}

/** How one range maps to integers: both ways. */
interface Scale {
  readonly min: number;
  readonly max: number;
  readonly quantize: Round;
  readonly dequantize: Round;
}

/** Steps for a unit and units for a step, such that both ends lie on the grid around zero. */
function symmetric(min: number, max: number, lowest: number, highest: number): { steps: number; unit: number } {
  const fromMin = lowest * min > 0 ? fround(lowest / min) : NO_SCALE;
  const fromMax = highest * max > 0 ? fround(highest / max) : NO_SCALE;
  return fromMin < fromMax
    ? { steps: fromMin, unit: fround(min / lowest) }
    : { steps: fromMax, unit: fround(max / highest) };
}

function scaled(op: Op, { lowest, highest }: Integers): (min: number, max: number) => Scale {
  const from = lowest + (op.attributes.bool("narrow_range", false) ? 1 : 0);
  const round = op.attributes.string("round_mode", "HALF_AWAY_FROM_ZERO") === "HALF_TO_EVEN" ? toEven : awayFromZero;
  return (min, max) => {
    const { steps } = symmetric(min, max, from, highest);
    const [low, high] = [fround(from / steps), fround(highest / steps)];
    const unit = lowest === 0 ? fround(max / highest) : Math.max(fround(min / from), fround(max / highest));
    return {
      min: low,
      max: high,
      quantize: (x) => round(fround(Math.max(Math.min(x, high), low) * steps)),
      dequantize: (x) => fround(x * fround(unit)),
    };
  };
}

/** The lowest integer stands for the lower end. */
function combined(_: Op, { lowest, highest }: Integers): (min: number, max: number) => Scale {
  return (min, max) => {
    const steps = fround((highest - lowest) / fround(max - min));
    const half = lowest < 0 ? (highest - lowest + 1) / 2 : 0;
    const unit = fround(fround(max - min) / (highest - lowest));
    return {
      min,
      max,
      quantize: (x) => {
        const at = fround(fround(Math.max(Math.min(x, max), min) - min) * steps);
        return lowest < 0 ? awayFromZero(fround(at - half)) : Math.trunc(fround(at + 0.5));
      },
      dequantize: (x) => fround(fround(fround(x + half) * unit) + min),
    };
  };
}

/** As `combined`, with the lower end on a step that zero is on too. */
function minFirst(_: Op, { dtype, lowest, highest }: Integers): (min: number, max: number) => Scale {
  return (min, max) => {
    const count = highest - lowest + 1;
    const range = fround(fround(max - min) * fround(count / (count - 1)));
    const steps = range === 0 ? 0 : fround(count / range);
    const unit = fround(range / count);
    const first = awayFromZero(fround(min * steps));
    // TensorFlow's fast way for bytes rounds once, its general one twice.
    const quantized: Round =
      dtype === "uint8"
        ? (x) => toEven(fround(fround(x * steps) - fround(min * steps)))
        : (x) => awayFromZero(fround(x * steps)) - first;
    const start = range === 0 ? min : fround(awayFromZero(fround(min / unit)) * unit);
    return {
      min,
      max,
      quantize: (x) => Math.max(Math.min(quantized(x) + lowest, highest), lowest),
      dequantize: (x) => (range === 0 ? min : fround(fround((x - lowest) * unit) + start)),
    };
  };
}

const MODES: Readonly<Record<string, typeof scaled>> = {
  MIN_COMBINED: combined,
  MIN_FIRST: minFirst,
  SCALED: scaled,
};

function modeOf(op: Op, range: Integers): (min: number, max: number) => Scale {
  const name = op.attributes.string("mode", "MIN_COMBINED");
  return (MODES[name] ?? unlowerable(`in the mode ${name}`))(op, range);
}

/** Which range each element belongs to: all one, or one for each place along an axis. */
function slices(shape: readonly number[], axis: number, ranges: number): (index: number) => number {
  if (axis === -1) return () => 0;
  if (axis < 0 || axis >= shape.length || shape[axis] !== ranges) return refuse("the ranges do not fit the axis");
  const inner = elementCount(shape.slice(axis + 1));
  return (index) => Math.floor(index / inner) % ranges;
}

function numbers({ data }: Tensor): number[] {
  return Array.from(data as Float32Array);
}

function rangeShape(shape: Shape, axis: number): Shape {
  return axis === -1 ? [] : [shape?.[axis] ?? -1];
}

/** Operands: floats, least and greatest value. Gives integers, and the range that they stand for. */
const quantize: Lowering = hostOp(
  (op) => {
    const { shape } = op.input(0);
    const bounds = { dtype: "float" as const, shape: rangeShape(shape, op.attributes.int("axis", -1)) };
    return [{ dtype: integersOf(op).dtype, shape }, bounds, bounds];
  },
  (op) => {
    const range = integersOf(op);
    const scaleOf = modeOf(op, range);
    const axis = op.attributes.int("axis", -1);
    const least = op.attributes.float("ensure_minimum_range", 0.01);
    return ([value, mins, maxes]) => {
      const { shape, data } = value as Tensor;
      const highs = numbers(maxes as Tensor);
      const scales = numbers(mins as Tensor).map((low, index) => {
        const high = highs[index] ?? refuse("a range without an end");
        if (!(low <= high)) return refuse("a range that ends before it begins");
        const min = Math.min(0, low);
        const width = fround(Math.max(1, Math.abs(low), Math.abs(high)) * fround(least));
        return scaleOf(min, Math.max(0, high, fround(min + width)));
      });
      const which = slices(shape, axis, scales.length);
      const result = newArray(range.dtype, data.length) as Int32Array;
      for (const [index, x] of (data as Float32Array).entries()) result[index] = scales[which(index)]?.quantize(x) ?? 0;
      const bounds = (of: (scale: Scale) => number): Tensor => ({
        dtype: "float",
        shape: axis === -1 ? [] : [scales.length],
        data: Float32Array.from(scales, of),
      });
      return [{ dtype: range.dtype, shape, data: result }, bounds(({ min }) => min), bounds(({ max }) => max)];
    };
  },
);

/** Operands: integers, least and greatest value. */
const dequantize: Lowering = hostOp(
  (op) => {
    const dtype = op.attributes.dtype("dtype") ?? "float";
    return [{ dtype: dtype === "float" ? dtype : unlowerable(`to ${dtype}`), shape: op.input(0).shape }];
  },
  (op) => {
    const scaleOf = modeOf(op, integersOf(op));
    const axis = op.attributes.int("axis", -1);
    return ([value, mins, maxes]) => {
      const { shape, data } = value as Tensor;
      const highs = numbers(maxes as Tensor);
      const scales = numbers(mins as Tensor).map((low, index) => scaleOf(low, highs[index] ?? low));
      const which = slices(shape, axis, scales.length);
      const result = Float32Array.from(
        data as NumericArray as Int32Array,
        (x, index) => scales[which(index)]?.dequantize(x) ?? 0,
      );
      return [{ dtype: "float", shape, data: result }];
    };
  },
);

/** Floats on the grid of integers. Operands: floats, least and greatest value, and in the third version the number of bits. */
const onGrid: Lowering = hostOp(
  sameShape((op) => {
    const { dtype } = op.input(0);
    return dtype === "float" || dtype === "double" ? dtype : unlowerable(`on ${dtype}`);
  }),
  (op) => {
    const isSigned = op.attributes.bool("signed_input", true);
    const isGiven = op.attributes.bool("range_given", op.node.op.endsWith("V3"));
    const isNarrow = op.attributes.bool("narrow_range", false);
    const axis = op.attributes.int("axis", -1);
    const halfUp = op.attributes.string("round_mode", "HALF_TO_EVEN") === "HALF_UP";
    const single = op.input(0).dtype === "float" ? fround : (x: number) => x;
    return ([value, mins, maxes, width]) => {
      const { dtype, shape, data } = value as Tensor;
      const bits = width ? (integers(width)[0] ?? 8) : op.attributes.int("num_bits", 8);
      if (bits < 1 || bits > 63) return refuse("a grid of that many bits");
      const lowest = isSigned ? -(2 ** (bits - 1)) + (isNarrow ? 1 : 0) : 0;
      const highest = 2 ** (isSigned ? bits - 1 : bits) - 1;
      const place = axis === -1 ? -1 : normalizeAxis(axis, shape.length);
      const ranges = place === -1 ? 1 : (shape[place] ?? refuse("an axis that is not there"));
      const which = slices(shape, place, ranges);
      const values = data as Float64Array;
      const [low, high] = isGiven ? [numbers(mins as Tensor), numbers(maxes as Tensor)] : endsOf(values, which, ranges);
      if (low.length !== ranges || high.length !== ranges) return refuse("the ranges do not fit the axis");
      const grids = low.map((min, index) => {
        const max = high[index] ?? 0;
        if (min > max) return refuse("a range that ends before it begins");
        const fromMin = lowest * min > 0 ? single(lowest / min) : NO_SCALE;
        const fromMax = highest * max > 0 ? single(highest / max) : NO_SCALE;
        const isByMin = fromMin < fromMax;
        const unit = single(isByMin ? min / lowest : max / highest);
        return {
          steps: isByMin ? fromMin : fromMax,
          unit,
          min: isByMin ? min : single(lowest * unit),
          max: isByMin ? single(highest * unit) : max,
        };
      });
      const result = newArray(dtype as "float" | "double", values.length) as Float64Array;
      for (const [index, x] of values.entries()) {
        const { steps, unit, min, max } = grids[which(index)] ?? refuse("no range");
        const held = isGiven ? Math.max(Math.min(x, max), min) : x;
        const at = single(held * steps);
        result[index] = (halfUp ? Math.floor(single(at + 0.5)) : toEven(at)) * unit;
      }
      return [{ dtype, shape, data: result }];
    };
  },
);

/** The least and the greatest value of each slice. */
function endsOf(values: Float64Array, which: (index: number) => number, count: number): [number[], number[]] {
  const low = Array<number>(count).fill(Infinity);
  const high = Array<number>(count).fill(-Infinity);
  for (const [index, x] of values.entries()) {
    const at = which(index);
    low[at] = Math.min(low[at] ?? x, x);
    high[at] = Math.max(high[at] ?? x, x);
  }
  return values.length === 0 ? [low.fill(0), high.fill(0)] : [low, high];
}

export const QUANTIZING: LoweringTable = {
  Dequantize: dequantize,
  QuantizeAndDequantizeV2: onGrid,
  QuantizeAndDequantizeV3: onGrid,
  QuantizeAndDequantizeV4: onGrid,
  QuantizeV2: quantize,
};
