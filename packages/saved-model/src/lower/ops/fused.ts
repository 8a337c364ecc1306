// Ops that the optimiser of TensorFlow, or of TensorFlow.js, fused before the graph was saved: taken apart again.

import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { TensorValue } from "../value.ts";
import { ACTIVATION } from "./activation.ts";
import { CONVOLUTION } from "./convolution.ts";
import { MATMUL } from "./matmul.ts";
import { NORMALIZATION } from "./normalization.ts";

/** Operands: image, kernel, then what the fused ops take. */
function fused(base: Lowering | undefined): Lowering {
  return (op) => {
    const only = (result: ReturnType<Lowering>): TensorValue => {
      const value = Array.isArray(result) ? (result as readonly TensorValue[])[0] : (result as TensorValue);
      return value ?? unlowerable("it gives nothing");
    };
    let value = only(base?.(op.withInputs(op.inputs.slice(0, 2))) ?? unlowerable("the op is not supported"));
    let next = 2;
    for (const name of op.attributes.strings("fused_ops")) {
      const { lowering, operands } = partOf(name);
      value = only(lowering(op.withInputs([value, ...op.inputs.slice(next, next + operands)])));
      next += operands;
    }
    return value;
  };
}

function partOf(name: string): { lowering: Lowering; operands: number } {
  const lowering = { ...ACTIVATION, ...NORMALIZATION, ...MATMUL }[name];
  if (!lowering) return unlowerable(`fused with ${name}`);
  if (name === "BiasAdd" || name === "Prelu") return { lowering, operands: 1 };
  return name === "FusedBatchNorm" ? { lowering: (op: Op) => lowering(op), operands: 4 } : { lowering, operands: 0 };
}

export const FUSED: LoweringTable = {
  FusedDepthwiseConv2dNative: fused(CONVOLUTION["DepthwiseConv2dNative"]),
  _FusedConv2D: fused(CONVOLUTION["Conv2D"]),
  _FusedDepthwiseConv2dNative: fused(CONVOLUTION["DepthwiseConv2dNative"]),
  _FusedMatMul: fused(MATMUL["MatMul"]),
};
