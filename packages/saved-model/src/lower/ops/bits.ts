// Integers as bits: ONNX's operators of this version have none, so the host computes.

import { elementCount, type DType, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { broadcastTogether, sourceIn } from "../../host/broadcast.ts";
import { refuse } from "../../host/refusal.ts";
import { DTYPES, newArray, viewOf } from "../../tensor/dtype.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { broadcastShapes } from "../value.ts";

type Numeric = Exclude<DType, "string">;

function numericOf(op: Op): Numeric {
  const { dtype } = op.input(0);
  return dtype === "string" ? unlowerable("on strings") : dtype;
}

/** Operators work on number and bigint alike; typed arrays cut results to their width. */
type Binary = (a: number, b: number) => number;

/** Runs an operator over two operands that broadcast. */
function broadcastHost(calculate: (op: Op) => Binary): Lowering {
  return hostOp(
    (op) => [{ dtype: op.input(0).dtype, shape: broadcastShapes(op.input(0).shape, op.input(1).shape) }],
    (op) => {
      const dtype = numericOf(op);
      const run = calculate(op);
      return ([a, b]) => {
        const [left, right] = [a as Tensor, b as Tensor];
        const shape = broadcastTogether(left.shape, right.shape);
        const [from, other] = [sourceIn(left.shape, shape), sourceIn(right.shape, shape)];
        const data = newArray(dtype, elementCount(shape));
        const [x, y] = [left.data as NumericArray, right.data as NumericArray];
        for (let i = 0; i < data.length; i++) data[i] = run(x[from(i)] as number, y[other(i)] as number) as never;
        return [{ dtype, shape, data }];
      };
    },
  );
}

/** Shifts by less than nothing or by more than the width are held at its ends, as TensorFlow holds them. */
function shift(direction: (value: bigint, by: bigint) => bigint): Lowering {
  return broadcastHost((op) => {
    const dtype = numericOf(op);
    const bits = DTYPES[dtype].bytes * 8;
    const isBig = bits === 64;
    return (value: number | bigint, by: number | bigint): number => {
      const held = BigInt(Math.min(Math.max(Number(by), 0), bits - 1));
      const shifted = BigInt.asIntN(64, direction(BigInt(value), held));
      // A typed array of numbers cuts what does not fit; below 2^53 nothing is lost before.
      return (isBig ? shifted : Number(BigInt.asIntN(bits, shifted))) as number;
    };
  });
}

const invert: Lowering = hostOp(
  sameShape((op) => op.input(0).dtype),
  (op) => {
    const dtype = numericOf(op);
    return ([value]) => {
      const { shape, data } = value as Tensor;
      const result = newArray(dtype, data.length);
      for (const [index, element] of (data as NumericArray).entries()) result[index] = ~(element as number) as never;
      return [{ dtype, shape, data: result }];
    };
  },
);

const populationCount: Lowering = hostOp(sameShape("uint8"), (op) => {
  const bits = DTYPES[numericOf(op)].bytes * 8;
  return ([value]) => {
    const { shape, data } = value as Tensor;
    const count = (element: number | bigint): number =>
      BigInt.asUintN(bits, BigInt(element)).toString(2).replaceAll("0", "").length;
    return [{ dtype: "uint8", shape, data: Uint8Array.from(data as Int32Array, count) }];
  };
});

/** The same bytes as another dtype; a last axis makes up for another width. */
const bitcast: Lowering = (op) => {
  const from = numericOf(op);
  const to = op.attributes.requireDType("type");
  if (to === "string") return unlowerable("to strings");
  const factor = DTYPES[from].bytes / DTYPES[to].bytes;
  const shapeFor = (shape: readonly number[]): readonly number[] => {
    if (factor === 1) return shape;
    return factor > 1 ? [...shape, factor] : shape.slice(0, -1);
  };
  const { shape } = op.input(0);
  const lowering = hostOp(
    () => [{ dtype: to, shape: shape && shapeFor(shape) }],
    () =>
      ([value]) => {
        const { shape: given, data } = value as Tensor;
        if (factor < 1 && given.at(-1) !== 1 / factor) refuse("its last axis does not make up an element");
        const { buffer, byteOffset, byteLength } = (data as NumericArray).slice();
        const bytes = new Uint8Array(buffer, byteOffset, byteLength);
        return [{ dtype: to, shape: shapeFor(given), data: viewOf(to, bytes) }];
      },
  );
  return lowering(op);
};

export const BITS: LoweringTable = {
  Bitcast: bitcast,
  BitwiseAnd: broadcastHost(() => (a, b) => a & b),
  BitwiseOr: broadcastHost(() => (a, b) => a | b),
  BitwiseXor: broadcastHost(() => (a, b) => a ^ b),
  Invert: invert,
  LeftShift: shift((value, by) => value << by),
  PopulationCount: populationCount,
  RightShift: shift((value, by) => value >> by),
};
