import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import { knownElements, knownInts, type TensorValue } from "../value.ts";
import { integerConstant } from "./shape.ts";

/** Ends that mean "to the end", in either direction (ONNX clamps them). */
const TO_LAST = Number.MAX_SAFE_INTEGER;
const TO_FIRST = -Number.MAX_SAFE_INTEGER;

/** What is cut from one axis of the input. */
interface Cut {
  readonly axis: number;
  /** `undefined` where it is computed, see `entry`. */
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly step: number;
  /** Place of the bounds in their operands. */
  readonly entry: number;
  /** The axis goes away: a single index was given. */
  readonly isIndex: boolean;
}

interface Plan {
  readonly cuts: readonly Cut[];
  /** Places of new axes of size 1 in the result. */
  readonly newAxes: readonly number[];
}

/**
 * Python-style slicing. Bits of the masks belong to entries of the specification, which axes they concern follows from
 * ellipsis and new axes before them.
 */
const stridedSlice: Lowering = (op) => {
  const value = op.input(0);
  const { cuts, newAxes } = planOf(op, value);
  const { emit } = op;
  const narrow = cuts.filter((cut) => cut.isIndex || cut.start !== 0 || cut.end !== TO_LAST || cut.step !== 1);
  const folded = foldVector(op, value, cuts, newAxes);
  if (folded) return folded;
  let name = emit.plain(value);
  if (narrow.length > 0) {
    const bounds = [boundNames(op, narrow, "start"), boundNames(op, narrow, "end")];
    const places = [emit.ints(narrow.map(({ axis }) => axis)), emit.ints(narrow.map(({ step }) => step))];
    [name] = emit.node("Slice", [name, ...bounds, ...places]);
  }
  const dropped = narrow.filter(({ isIndex }) => isIndex).map(({ axis }) => axis);
  if (dropped.length > 0) [name] = emit.node("Squeeze", [name, emit.ints(dropped)]);
  if (newAxes.length > 0) [name] = emit.node("Unsqueeze", [name, emit.ints(newAxes)]);
  return { kind: "tensor", dtype: value.dtype, shape: slicedShape(value, cuts, newAxes), plain: name };
};

/** Name of a vector of starts or ends, of which some may be computed. */
function boundNames(op: Op, cuts: readonly Cut[], side: "start" | "end"): string {
  const { emit } = op;
  const known = cuts.map((cut) => cut[side]);
  if (known.every((bound) => bound !== undefined)) return emit.ints(known);
  const parts = cuts.map((cut) => {
    const bound = cut[side];
    if (bound !== undefined) return emit.ints([bound]);
    const [given] = emit.node("Gather", [
      emit.asInt64(op.input(side === "start" || cut.isIndex ? 1 : 2)),
      emit.ints([cut.entry]),
    ]);
    if (side === "start" || !cut.isIndex) return given;
    // The end of a single index: the element after it, and the last one has none.
    const [isLast] = emit.node("Equal", [given, emit.ints([-1])]);
    return emit.node("Where", [isLast, emit.ints([TO_LAST]), emit.node("Add", [given, emit.ints([1])])[0]])[0];
  });
  return emit.node("Concat", parts, { axis: 0 })[0];
}

function planOf(op: Op, value: TensorValue): Plan {
  const [begin, end] = [knownElements(op.input(1)), knownElements(op.input(2))];
  const strides = knownInts(op.input(3)) ?? unlowerable("strides that are computed");
  const mask = (name: string) => {
    const bits = op.attributes.int(name, 0);
    return (index: number): boolean => ((bits >> index) & 1) === 1;
  };
  const [isOpenBegin, isOpenEnd] = [mask("begin_mask"), mask("end_mask")];
  const [isEllipsis, isNewAxis, isIndex] = [mask("ellipsis_mask"), mask("new_axis_mask"), mask("shrink_axis_mask")];
  const entries = strides;
  const used = entries.filter((_, index) => !isEllipsis(index) && !isNewAxis(index)).length;
  const cuts: Cut[] = [];
  const newAxes: number[] = [];
  let axis = 0;
  let place = 0;
  entries.forEach((step, index) => {
    if (isEllipsis(index)) {
      const skipped = (value.shape?.length ?? unlowerable("an ellipsis on a tensor of unknown rank")) - used;
      axis += skipped;
      place += skipped;
      return;
    }
    if (isNewAxis(index)) {
      newAxes.push(place++);
      return;
    }
    const cut = isIndex(index)
      ? indexCut(axis, begin?.[index], index)
      : {
          axis,
          start: isOpenBegin(index) ? (step > 0 ? 0 : TO_LAST) : begin?.[index],
          end: isOpenEnd(index) ? (step > 0 ? TO_LAST : TO_FIRST) : end?.[index],
          step,
          entry: index,
          isIndex: false,
        };
    cuts.push(cut);
    axis += 1;
    if (!cut.isIndex) place += 1;
  });
  return { cuts, newAxes };
}

/** -1 is the last element: its end cannot be 0, which would be the first. */
function indexCut(axis: number, index: number | undefined, entry: number): Cut {
  const end = index === undefined ? undefined : index === -1 ? TO_LAST : index + 1;
  return { axis, start: index, end, step: 1, entry, isIndex: true };
}

/** The first element and their number, or `undefined` where they are computed. */
function bounds({ start, end, step }: Cut, size: number): { first: number; count: number } | undefined {
  if (start === undefined || end === undefined) return undefined;
  const clamp = (bound: number): number => {
    const from = bound < 0 ? bound + size : bound;
    return step > 0 ? Math.min(Math.max(from, 0), size) : Math.min(Math.max(from, -1), size - 1);
  };
  const first = clamp(start);
  const last = end === TO_FIRST ? -1 : clamp(end);
  return { first, count: Math.max(Math.ceil((last - first) / step), 0) };
}

function slicedShape(value: TensorValue, cuts: readonly Cut[], newAxes: readonly number[]): number[] | undefined {
  if (!value.shape) return undefined;
  const byAxis = new Map(cuts.map((cut) => [cut.axis, cut]));
  const shape = value.shape.flatMap((size, axis) => {
    const cut = byAxis.get(axis);
    if (!cut) return [size];
    if (cut.isIndex) return [];
    if (cut.start === 0 && cut.end === TO_LAST && cut.step === 1) return [size];
    return [size < 0 ? -1 : (bounds(cut, size)?.count ?? -1)];
  });
  for (const place of newAxes) shape.splice(place, 0, 1);
  return shape;
}

/** A cut of a vector whose elements are known (a shape, as a rule). */
function foldVector(
  op: Op,
  value: TensorValue,
  cuts: readonly Cut[],
  newAxes: readonly number[],
): TensorValue | undefined {
  const elements = value.shape?.length === 1 ? knownElements(value) : undefined;
  const [cut] = cuts;
  if (!elements || !cut || newAxes.length > 0 || (value.dtype !== "int32" && value.dtype !== "int64")) return undefined;
  const range = bounds(cut, elements.length);
  if (!range) return undefined;
  const { first, count } = range;
  const chosen = Array.from({ length: count }, (_, i) => elements[first + i * cut.step]);
  const shape = cut.isIndex ? [] : [count];
  if (chosen.every((item) => item !== undefined)) return integerConstant(op.emit, value.dtype, chosen, shape);
  const { emit } = op;
  const indices = chosen.map((_, i) => first + i * cut.step);
  const operand = cut.isIndex ? emit.int(indices[0] ?? 0) : emit.ints(indices);
  return { ...emit.plainNode("Gather", [emit.plain(value), operand], { dtype: value.dtype, shape }), elements: chosen };
}

export const STRIDED_SLICE: LoweringTable = { StridedSlice: stridedSlice };
