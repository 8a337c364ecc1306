// Arithmetic on uint64, for which ONNX Runtime has no kernels: the host calculates with whole integers.

import { elementCount, type NumericArray, type Tensor } from "@cloister/encoding/tensor";
import { broadcastTogether, sourceIn } from "../../host/broadcast.ts";
import { refuse } from "../../host/refusal.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import { broadcastShapes, type Shape } from "../value.ts";

type Calculate = (a: bigint, b: bigint) => bigint | boolean;

function unsigned(calculate: Calculate, result: "uint64" | "bool" = "uint64"): Lowering {
  return hostOp(
    (op) => {
      if (op.inputs.some(({ dtype }) => dtype !== "uint64")) unlowerable(`on ${op.input(0).dtype}`);
      return [{ dtype: result, shape: op.inputs.map(({ shape }): Shape => shape).reduce(broadcastShapes) }];
    },
    () => (inputs) => {
      const shape = inputs.map((each) => each.shape).reduce(broadcastTogether);
      const columns = inputs.map((each) => {
        const from = sourceIn(each.shape, shape);
        const data = each.data as BigUint64Array;
        return (index: number): bigint => data[from(index)] ?? 0n;
      });
      const data: NumericArray =
        result === "bool" ? new Uint8Array(elementCount(shape)) : new BigUint64Array(elementCount(shape));
      for (let index = 0; index < data.length; index++) {
        const operands = columns.map((column) => column(index));
        const value = operands
          .slice(1)
          .reduce<bigint | boolean>((a, b) => calculate(a as bigint, b), operands[0] ?? 0n);
        data[index] = (result === "bool" ? Number(value) : value) as never;
      }
      return [{ dtype: result, shape, data } satisfies Tensor];
    },
  );
}

const divided = (calculate: (a: bigint, b: bigint) => bigint): Lowering =>
  unsigned((a, b) => (b === 0n ? refuse("Integer division by zero") : calculate(a, b)));

const quotient = divided((a, b) => a / b);
const remainder = divided((a, b) => a % b);
const sum = unsigned((a, b) => a + b);

export const UNSIGNED: LoweringTable = {
  Add: sum,
  AddN: sum,
  AddV2: sum,
  Div: quotient,
  FloorDiv: quotient,
  FloorMod: remainder,
  Greater: unsigned((a, b) => a > b, "bool"),
  GreaterEqual: unsigned((a, b) => a >= b, "bool"),
  Less: unsigned((a, b) => a < b, "bool"),
  LessEqual: unsigned((a, b) => a <= b, "bool"),
  Maximum: unsigned((a, b) => (a > b ? a : b)),
  Minimum: unsigned((a, b) => (a < b ? a : b)),
  Mod: remainder,
  Mul: unsigned((a, b) => a * b),
  Sub: unsigned((a, b) => a - b),
  TruncateDiv: quotient,
  TruncateMod: remainder,
};
