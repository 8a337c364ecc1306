import { lowerIf } from "../control.ts";
import { fromCompute, toCompute } from "../elementwise.ts";
import { type Emitter, unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable } from "../op.ts";
import { knownInts, normalizeAxis, type TensorValue } from "../value.ts";
import { reducedShape } from "./reduction.ts";

/** The first of equal extremes wins, in both frameworks. */
function argExtreme(onnxOp: string): Lowering {
  return (op) => {
    const value = op.input(0);
    const { emit } = op;
    const [axis = 0] = (op.inputs[1] && knownInts(op.inputs[1])) ?? unlowerable("an axis that is computed");
    const dtype = op.attributes.dtype("output_type") ?? "int64";
    const shape = value.shape && reducedShape(value.shape, [normalizeAxis(axis, value.shape.length)], false);
    const source = toCompute(emit, emit.plain(value), value.dtype);
    const [kept] = emit.node(onnxOp, [source], { axis, keepdims: 1 });
    // ONNX Runtime leaves the axis as long as it was where there are no rows at all.
    const one = emit.node("Slice", [kept, emit.ints([0]), emit.ints([1]), emit.ints([axis])])[0];
    const [index] = emit.node("Squeeze", [one, emit.ints([axis])]);
    return { kind: "tensor", dtype, shape, plain: dtype === "int64" ? index : emit.cast(index, dtype) };
  };
}

/** ONNX Runtime's TopK divides by the number of rows: it may not see a tensor that has none. */
const topK: Lowering = (op) => {
  const [value, k] = [op.input(0), op.input(1)];
  const { emit } = op;
  const { dtype } = value;
  const shape = value.shape?.with(-1, knownInts(k)?.[0] ?? -1);
  const count = emit.node("Reshape", [emit.asInt64(k), emit.ints([1])])[0];
  const source = toCompute(emit, emit.plain(value), dtype);
  const ranked = (inner: Emitter): TensorValue[] => {
    const [values, indices = ""] = inner.node("TopK", [source, count], { axis: -1, largest: 1, sorted: 1 }, 2);
    return [
      { kind: "tensor", dtype, shape, plain: fromCompute(inner, values, dtype) },
      { kind: "tensor", dtype: "int32", shape, plain: inner.cast(indices, "int32") },
    ];
  };
  if (value.shape?.slice(0, -1).every((size) => size > 0)) return ranked(emit);
  const [hasElements] = emit.node("Greater", [emit.node("Size", [source])[0], emit.int(0)]);
  const nothing = (inner: Emitter): TensorValue[] => {
    const outer = inner.node("Slice", [inner.node("Shape", [source])[0], inner.ints([0]), inner.ints([-1])])[0];
    const [zeros] = inner.node("ConstantOfShape", [inner.node("Concat", [outer, count], { axis: 0 })[0]]);
    return [
      { kind: "tensor", dtype, shape, plain: inner.cast(zeros, dtype) },
      { kind: "tensor", dtype: "int32", shape, plain: inner.cast(zeros, "int32") },
    ];
  };
  const result = lowerIf(emit, hasElements, [
    (inner) => ({ values: ranked(inner) }),
    (inner) => ({ values: nothing(inner) }),
  ]);
  return "values" in result ? result.values : unlowerable("one of its parts");
};

export const RANKING: LoweringTable = {
  ArgMax: argExtreme("ArgMax"),
  ArgMin: argExtreme("ArgMin"),
  TopKV2: topK,
};
