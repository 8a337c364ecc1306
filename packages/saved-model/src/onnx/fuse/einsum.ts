import type { OnnxNode } from "../model.ts";

/**
 * A sum of products over one axis, in batches, as a matrix product: what is left of Einsum after the other fusions. ONNX Runtime's Einsum
 * divides by zero on a batch of none, and a Transpose before a product may be taken into it. `undefined` for every other Einsum.
 */
export function unfoldEinsum({ op, inputs, outputs, attributes }: OnnxNode): readonly OnnxNode[] | undefined {
  const equation = attributes["equation"];
  if (op !== "Einsum" || typeof equation !== "string" || equation.includes(".")) return undefined;
  const [a = "", b = "", result = ""] = equation.replaceAll(" ", "").split(/,|->/);
  const letters = new Set(equation.match(/[A-Za-z]/g));
  if (inputs.length !== 2 || [a, b, result].some((each) => new Set(each).size !== each.length)) return undefined;
  const among = (of: string, ...others: readonly string[]): string[] =>
    Array.from(of).filter((letter) => others.every((other) => other.includes(letter)));
  const batch = among(result, a, b);
  const [rows, columns, summed] = [among(result, a), among(result, b), among(a, b)].map((each) =>
    each.filter((letter) => !batch.includes(letter)),
  ) as [string[], string[], string[]];
  const isProduct = [rows, columns, summed].every((each) => each.length === 1);
  if (!isProduct || batch.length === 0 || letters.size !== batch.length + 3) return undefined;
  const [output = ""] = outputs;
  const order = (from: string, to: readonly string[]): number[] => to.map((letter) => from.indexOf(letter));
  const transpose = (input: string | undefined, to: string, perm: readonly number[]): OnnxNode => ({
    op: "Transpose",
    inputs: [input ?? ""],
    outputs: [to],
    attributes: { perm },
  });
  const product = [...batch, ...rows, ...columns];
  return [
    transpose(inputs[0], `${output}_left`, order(a, [...batch, ...rows, ...summed])),
    transpose(inputs[1], `${output}_right`, order(b, [...batch, ...summed, ...columns])),
    { op: "MatMul", inputs: [`${output}_left`, `${output}_right`], outputs: [`${output}_product`], attributes: {} },
    transpose(`${output}_product`, output, order(product.join(""), Array.from(result))),
  ];
}
