// Tensors inside of strings: as TensorProto messages, and as text for people.

import { utf8 } from "@cloister/encoding";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { type Element, elementsOf, latin1, strings, stringTensor } from "../../host/elements.ts";
import { formatter } from "../../host/number-text.ts";
import { refuse } from "../../host/refusal.ts";
import { readTensor, writeTensor } from "../../host/tensor-message.ts";
import { unlowerable } from "../emitter.ts";
import { hostOp, results } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

const parseTensor: Lowering = hostOp(
  (op) => [{ dtype: op.attributes.dtype("out_type") ?? unlowerable("of such a dtype"), shape: undefined }],
  (op) => {
    const dtype = op.attributes.requireDType("out_type");
    return ([serialized]) => {
      const [bytes, ...more] = strings(serialized as Tensor);
      if (!bytes || more.length > 0) return refuse("one string holds one tensor");
      return [readTensor(bytes, dtype)];
    };
  },
);

const serializeTensor: Lowering = hostOp(results(["string", []]), () => ([value]) => [
  stringTensor([], [writeTensor(value as Tensor)]),
]);

/** The elements in brackets, a row of the innermost axis on each line; of long axes only both ends. */
function summary({ shape }: Tensor, texts: readonly string[], ends: number): string {
  const written = (axis: number, offset: number): string => {
    const size = shape[axis];
    if (size === undefined) return texts[offset] ?? "";
    const width = elementCount(shape.slice(axis + 1));
    const isCut = ends >= 0 && size > 2 * ends;
    const all = Array.from({ length: size }, (_, place) => place);
    const parts = (places: readonly number[]): string[] =>
      places.map((place) => written(axis + 1, offset + place * width));
    const shown = isCut ? [...parts(all.slice(0, ends)), "...", ...parts(all.slice(size - ends))] : parts(all);
    const depth = shape.length - axis - 1;
    return `[${shown.join(depth === 0 ? " " : "\n".repeat(depth) + " ".repeat(axis + 1))}]`;
  };
  return written(0, 0);
}

/** Operands take the places of the placeholders in the template. */
const stringFormat: Lowering = hostOp(results(["string", []]), (op) => {
  const placeholder = op.attributes.string("placeholder", "%s");
  const [first = "", ...rest] = op.attributes.string("template", "%s").split(placeholder);
  const ends = op.attributes.int("summarize", 3);
  if (rest.length !== op.inputs.length) unlowerable("with another number of placeholders");
  const writers = op.inputs.map(({ dtype }) => {
    if (dtype === "string") return (element: Element) => `"${element}"`;
    const digits = dtype === "double" ? [15, 17] : [6, 9];
    const [short, long] = digits.map((precision) =>
      formatter(dtype, { precision, isScientific: false, isShortest: true, width: -1, fill: "" }),
    );
    if (dtype === "bool") return (element: Element) => String(Number(element));
    // The fewer digits where they read back to the same number.
    if (dtype !== "float" && dtype !== "double") return String;
    return (element: Element) => {
      const text = short?.(element) ?? "";
      const back = dtype === "float" ? Math.fround(Number(text)) : Number(text);
      return back === element || !Number.isFinite(element) ? text : (long?.(element) ?? "");
    };
  });
  return (inputs) => {
    const texts = inputs.map((tensor, index) =>
      summary(tensor, elementsOf(tensor).map(writers[index] as (element: Element) => string), ends),
    );
    const whole = rest.reduce(
      (text, part, index) => text + (texts[index] ?? "") + latin1(utf8(part)),
      latin1(utf8(first)),
    );
    return [stringTensor([], [new Uint8Array(Buffer.from(whole, "latin1"))])];
  };
});

export const MESSAGES: LoweringTable = {
  ParseTensor: parseTensor,
  SerializeTensor: serializeTensor,
  StringFormat: stringFormat,
};
