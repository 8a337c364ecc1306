import { unlowerable } from "./emitter.ts";
import type { Lowering, Op } from "./op.ts";
import type { TensorValue, Value } from "./value.ts";

/** Ops that put elements in other places and look at none. */
const MOVES: ReadonlySet<string> = new Set([
  "BroadcastTo",
  "Concat",
  "ConcatV2",
  "ExpandDims",
  "Fill",
  "Gather",
  "GatherNd",
  "GatherV2",
  "MirrorPad",
  "OneHot",
  "Pack",
  "PadV2",
  "Reshape",
  "ReverseSequence",
  "ReverseV2",
  "Roll",
  "Select",
  "SelectV2",
  "Slice",
  "Split",
  "SplitV",
  "Squeeze",
  "StridedSlice",
  "TensorScatterUpdate",
  "Tile",
  "Transpose",
  "Unpack",
]);

/** Ops that ask only for shapes. */
const INQUIRIES: ReadonlySet<string> = new Set(["Rank", "Shape", "ShapeN", "Size"]);

/** Lowers an op over strings by the lowering that it has for numbers: that one moves the positions of the strings. */
export function movedStrings(
  op: Op,
  lowering: Lowering,
  lowerings: (op: string) => Lowering,
): Value | readonly Value[] {
  // Around strings lie empty ones.
  if (op.node.op === "Pad") {
    const empty = op.emit.constant({ dtype: "string", shape: [], data: [new Uint8Array()] });
    return movedStrings(op.named("PadV2").withInputs([...op.inputs, empty]), lowerings("PadV2"), lowerings);
  }
  const isInquiry = INQUIRIES.has(op.node.op);
  if (!isInquiry && !MOVES.has(op.node.op)) unlowerable("on strings");
  const { pool, indices } = poolOf(op);
  const result = lowering(op.withInputs(op.inputs.map((value) => indices.get(value) ?? value)));
  if (isInquiry) return result;
  const asString = (value: Value): Value =>
    value.kind === "tensor"
      ? { kind: "tensor", dtype: "string", shape: value.shape, moved: { pool, indices: value } }
      : value;
  return Array.isArray(result) ? (result as readonly Value[]).map(asString) : asString(result as Value);
}

/** The strings that the op moves, and where in them each operand's elements are. */
function poolOf(op: Op): { pool: readonly TensorValue[]; indices: ReadonlyMap<TensorValue, TensorValue> } {
  const operands = [...new Set(op.inputs.filter(({ dtype }) => dtype === "string"))];
  const [first] = operands;
  // One operand that is moved already is moved on, without making it in between.
  if (first?.moved && operands.length === 1) {
    return { pool: first.moved.pool, indices: new Map([[first, first.moved.indices]]) };
  }
  const made = op.emit.indicesOf(operands);
  return { pool: operands, indices: new Map(operands.map((operand, i) => [operand, made[i] as TensorValue])) };
}
