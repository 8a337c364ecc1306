// The size of a transposed convolution's result. The full result is (input - 1) * stride + reach; TensorFlow's op is told which
// part of it is wanted, or how much more at the end.

import type { OnnxAttribute } from "../onnx/model.ts";
import type { Emitter } from "./emitter.ts";

/** A transposed convolution along its spatial axes; sizes are -1 where they are not known before run time. */
export interface Transposed {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly input: readonly number[];
  readonly wanted: readonly number[];
  /** Name of the wanted sizes of these axes, an int64 vector; asked for only where they matter at run time. */
  readonly wantedName: () => string;
}

/** Adds ConvTranspose over channels-first operands; gives the name of its result. */
export function convTranspose(emit: Emitter, operands: readonly string[], transposed: Transposed): string {
  const { kernel, strides, dilations, input, wanted } = transposed;
  const reaches = kernel.map((size, axis) => (size - 1) * (dilations[axis] ?? 1) + 1);
  const add = (pads: readonly (readonly [number, number])[], output_padding: readonly number[]): string => {
    const flat = [...pads.map(([before]) => before), ...pads.map(([, after]) => after)];
    const window: Record<string, OnnxAttribute> = { kernel_shape: kernel, strides, dilations, pads: flat };
    return emit.node("ConvTranspose", operands, { ...window, output_padding })[0];
  };
  if ([...input, ...wanted].every((size) => size >= 0)) {
    const surplus = reaches.map(
      (reach, axis) => ((input[axis] ?? 0) - 1) * (strides[axis] ?? 1) + reach - (wanted[axis] ?? 0),
    );
    return add(
      surplus.map((each) => halves(Math.max(each, 0))),
      surplus.map((each) => Math.max(-each, 0)),
    );
  }
  // As much as can be asked for, and the wanted part of it.
  const extra = strides.map((stride) => stride - 1);
  const whole = add(
    kernel.map(() => [0, 0]),
    extra,
  );
  const [sizes] = emit.node("Shape", [whole]);
  const spatial = emit.node("Slice", [sizes, emit.ints([2]), emit.ints([2 + kernel.length])])[0];
  const full = emit.node("Sub", [spatial, emit.ints(extra)])[0];
  const surplus = emit.node("Max", [emit.node("Sub", [full, transposed.wantedName()])[0], emit.int(0)])[0];
  const start = emit.node("Div", [surplus, emit.int(2)])[0];
  const end = emit.node("Add", [start, transposed.wantedName()])[0];
  return emit.node("Slice", [whole, start, end, emit.ints(kernel.map((_, axis) => axis + 2))])[0];
}

/** More is cut off at the end. */
function halves(total: number): [number, number] {
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}
