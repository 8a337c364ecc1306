import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { utf8 } from "@cloister/encoding";
import type { ExampleSchema } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import type { FeatureSchema } from "@cloister/encoding/gen/tensorflow/core/example/feature_pb";
import { type Input, InputSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/input_pb";

/** The values of one feature: floats, whole numbers, or texts and byte strings. */
export type FeatureValues = readonly number[] | readonly bigint[] | readonly string[] | readonly Uint8Array[];

/** A `tf.Example`: features by name. Numbers are floats; whole numbers that the model wants as int64 are given as bigint. */
export type Example = Readonly<Record<string, FeatureValues>>;

/** The input of Classify and Regress. Features that all examples share go into `context`. */
export function exampleInput(examples: readonly Example[], context?: Example): Input {
  const list = examples.map(toExample);
  if (context === undefined) return create(InputSchema, { kind: { case: "exampleList", value: { examples: list } } });
  const value = { examples: list, context: toExample(context) };
  return create(InputSchema, { kind: { case: "exampleListWithContext", value } });
}

function toExample(example: Example): MessageInitShape<typeof ExampleSchema> {
  const feature = Object.fromEntries(Object.entries(example).map(([name, values]) => [name, toFeature(values)]));
  return { features: { feature } };
}

function toFeature(values: FeatureValues): MessageInitShape<typeof FeatureSchema> {
  const [first] = values;
  if (typeof first === "bigint") return { kind: { case: "int64List", value: { value: [...(values as bigint[])] } } };
  if (typeof first === "number") return { kind: { case: "floatList", value: { value: [...(values as number[])] } } };
  const value = (values as readonly (string | Uint8Array)[]).map((each) => bytesOf(each));
  return { kind: { case: "bytesList", value: { value } } };
}

function bytesOf(value: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(typeof value === "string" ? utf8(value) : value);
}
