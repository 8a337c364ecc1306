// Fake quantisation: floats are put on the grid that integers of a few bits would give them.

import type { NumericArray } from "@cloister/encoding/tensor";
import { elementwise } from "../elementwise.ts";
import { unlowerable } from "../emitter.ts";
import type { Lowering, LoweringTable, Op } from "../op.ts";
import type { TensorValue } from "../value.ts";

interface Grid {
  readonly low: number;
  readonly high: number;
  readonly step: number;
}

const { fround } = Math;

/**
 * The grid of a range: moved so that zero lies on it, as TensorFlow nudges it (Jacob et al., "Quantization and Training of Neural
 * Networks", 2017, section 3.1).
 */
function gridOf(min: number, max: number, lowest: number, highest: number): Grid {
  if (min === 0 && max === 0) return { low: 0, high: 0, step: 1 };
  const step = fround(fround(max - min) / fround(highest - lowest));
  const zero = fround(lowest - fround(min / step));
  const nudged = zero < lowest ? lowest : zero > highest ? highest : Math.round(zero);
  return { low: fround(fround(lowest - nudged) * step), high: fround(fround(highest - nudged) * step), step };
}

function onGrids(op: Op, grids: readonly Grid[], shape: readonly number[]): TensorValue {
  const { emit } = op;
  const constant = (of: (grid: Grid) => number): TensorValue =>
    emit.constant({ dtype: "float", shape, data: Float32Array.from(grids, of) });
  const [low, high, step] = [
    constant((grid) => grid.low),
    constant((grid) => grid.high),
    constant((grid) => grid.step),
  ];
  const half = emit.scalar(0.5, "float");
  return elementwise(emit, [op.input(0), low, high, step], ([x, least = "", most = "", width = ""]) => {
    const [held] = emit.node("Max", [emit.node("Min", [x, most])[0], least]);
    const [steps] = emit.node("Div", [emit.node("Sub", [held, least])[0], width]);
    const [whole] = emit.node("Floor", [emit.node("Add", [steps, half])[0]]);
    return emit.node("Add", [emit.node("Mul", [whole, width])[0], least])[0];
  });
}

/** The range lies in attributes or in operands, one for all or one for each channel. */
const fakeQuant: Lowering = (op) => {
  if (op.input(0).dtype !== "float") unlowerable(`on ${op.input(0).dtype}`);
  const lowest = op.attributes.bool("narrow_range", false) ? 1 : 0;
  const highest = 2 ** op.attributes.int("num_bits", 8) - 1;
  if (op.inputs.length === 1) {
    const [min, max] = [op.attributes.float("min", -6), op.attributes.float("max", 6)];
    return onGrids(op, [gridOf(fround(min), fround(max), lowest, highest)], []);
  }
  const [min, max] = [op.input(1).constant, op.input(2).constant];
  if (!min || !max) return unlowerable("a range that is computed");
  const bounds = Array.from(min.data as NumericArray, Number);
  const grids = bounds.map((each, index) => gridOf(each, Number(max.data[index]), lowest, highest));
  return onGrids(op, grids, min.shape);
};

export const QUANTIZATION: LoweringTable = {
  FakeQuantWithMinMaxArgs: fakeQuant,
  FakeQuantWithMinMaxVars: fakeQuant,
  FakeQuantWithMinMaxVarsPerChannel: fakeQuant,
};
