import { fromBinary } from "@bufbuild/protobuf";
import { utf8 } from "@cloister/encoding";
import { ExampleSchema } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import type { Tensor } from "@cloister/encoding/tensor";
import type { SignatureInfo, TensorInfo } from "../engine/engine.ts";

const EXAMPLES: TensorInfo = { name: "tf_example:0", dtype: "string", shape: [-1] };
const float = (name: string): TensorInfo => ({ name, dtype: "float", shape: [-1, 1] });
const inputs = new Map([["inputs", EXAMPLES]]);

/** Signatures that parse tf.Examples with one float feature `x`. */
export const EXAMPLE_SIGNATURES: ReadonlyMap<string, SignatureInfo> = new Map([
  [
    "classify_x",
    {
      methodName: "tensorflow/serving/classify",
      inputs,
      outputs: new Map([
        ["classes", { name: "labels:0", dtype: "string", shape: [-1, 1] }],
        ["scores", float("y:0")],
      ]),
    },
  ],
  ["score_x", { methodName: "tensorflow/serving/predict", inputs, outputs: new Map([["scores", float("y:0")]]) }],
  ["regress_x", { methodName: "tensorflow/serving/regress", inputs, outputs: new Map([["outputs", float("y:0")]]) }],
]);

/** y = x / 2 + 2 for each Example, whose label is "even" or "odd" by the whole part of x. */
export function computeExamples(examples: Tensor, wanted: readonly string[]): Map<string, Tensor> {
  const xs = (examples.data as readonly Uint8Array[]).map(featureX);
  const shape = [xs.length, 1];
  const y: Tensor = { dtype: "float", shape, data: Float32Array.from(xs, (x) => x / 2 + 2) };
  const labels: Tensor = {
    dtype: "string",
    shape,
    data: xs.map((x) => utf8(Math.floor(x) % 2 === 0 ? "even" : "odd")),
  };
  return new Map(wanted.map((alias) => [alias, alias === "classes" ? labels : y]));
}

function featureX(example: Uint8Array): number {
  const kind = fromBinary(ExampleSchema, example).features?.feature["x"]?.kind;
  return kind?.case === "floatList" ? (kind.value.value[0] ?? 0) : 0;
}
