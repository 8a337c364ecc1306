// Products along an axis, which ONNX has no operator for.

import { type DType, elementCount, type Tensor } from "@cloister/encoding/tensor";
import { integers } from "../../host/elements.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, sameShape } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

type Numeric = Exclude<DType, "string">;

/** Products in a dtype; integers wrap. */
function productOf(dtype: Numeric): (a: number | bigint, b: number | bigint) => number | bigint {
  if (dtype === "double") return (a, b) => Number(a) * Number(b);
  if (dtype === "float" || dtype === "half" || dtype === "bfloat16")
    return (a, b) => Math.fround(Number(a) * Number(b));
  if (dtype === "int64") return (a, b) => BigInt.asIntN(64, BigInt(a) * BigInt(b));
  if (dtype === "uint64") return (a, b) => BigInt.asUintN(64, BigInt(a) * BigInt(b));
  return (a, b) => Math.imul(Number(a), Number(b));
}

/** Products along an axis. */
const cumprod: Lowering = hostOp(
  sameShape((op) => op.input(0).dtype),
  (op) => {
    const [exclusive, reverse] = [op.attributes.bool("exclusive", false), op.attributes.bool("reverse", false)];
    const { dtype } = op.input(0);
    if (dtype === "string" || dtype === "bool") return unlowerable(`on ${dtype}`);
    const times = productOf(dtype);
    return ([value, axisTensor]) => {
      const { shape, data } = value as Tensor;
      const given = integers(axisTensor as Tensor)[0] ?? 0;
      const axis = given < 0 ? given + shape.length : given;
      const [length, inner] = [shape[axis] ?? refuse("such an axis"), elementCount(shape.slice(axis + 1))];
      const result = (data as Float32Array).slice();
      for (let start = 0; start < result.length; start++) {
        if (Math.floor(start / inner) % length !== 0) continue;
        let product: number | bigint = typeof result[0] === "bigint" ? 1n : 1;
        for (let step = 0; step < length; step++) {
          const place = start + (reverse ? length - 1 - step : step) * inner;
          const own = result[place] as number;
          if (exclusive) result[place] = product as number;
          product = times(product, own);
          if (!exclusive) result[place] = product as number;
        }
      }
      return [{ dtype, shape, data: result }];
    };
  },
);

export const CUMULATIVE: LoweringTable = {
  Cumprod: cumprod,
};
