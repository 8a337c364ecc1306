// Answers for compare_live.py with the embedded engine: node e2e/oracle/answer.ts MODEL REQUEST REPLY
//
// MODEL is a SavedModel folder or a frozen graph with the nodes `input` and `predict`; REQUEST holds a list of {"inputs": ...},
// REPLY becomes the list of {"outputs": ...}; tensors as in packages/saved-model/test-models/ops/README.md: float32, int32, int64 and
// strings.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import type { Tensor } from "@cloister/encoding/tensor";
import { OnnxEngine } from "@cloister/model-server/engine";
import { readTree } from "@cloister/protected-files/rim";
import { importFrozenGraph } from "@cloister/saved-model";

interface JsonTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}

const [model = "", request = "", reply = ""] = process.argv.slice(2);

function toTensor({ dtype, shape, values }: JsonTensor): Tensor {
  switch (dtype) {
    case "string":
      return { dtype, shape, data: values.map((text) => new Uint8Array(Buffer.from(String(text), "base64"))) };
    case "int64":
      return { dtype, shape, data: BigInt64Array.from(values, BigInt) };
    case "int32":
      return { dtype, shape, data: Int32Array.from(values, Number) };
    default:
      return { dtype: "float", shape, data: Float32Array.from(values, Number) };
  }
}

function toJson({ dtype, shape, data }: Tensor): JsonTensor {
  if (dtype === "string")
    return {
      dtype,
      shape,
      values: (data as readonly Uint8Array[]).map((bytes) => Buffer.from(bytes).toString("base64")),
    };
  if (dtype === "int64") return { dtype, shape, values: Array.from(data as BigInt64Array, String) };
  return { dtype: dtype === "float" ? "float32" : dtype, shape, values: Array.from(data as Float32Array) };
}

const isFolder = statSync(model).isDirectory();
const files = isFolder ? await readTree(model) : importFrozenGraph(new Uint8Array(readFileSync(model))).files;
const servable = await new OnnxEngine({ execution: "inline" }).load(files);
const signature = servable.signatures.get("serving_default");
if (!signature) throw new Error("the model has no signature serving_default");
const requests = JSON.parse(readFileSync(request, "utf8")) as { inputs: Record<string, JsonTensor> }[];
const replies: { outputs: Record<string, JsonTensor> }[] = [];
for (const { inputs } of requests) {
  const tensors = new Map(Object.entries(inputs).map(([alias, tensor]) => [alias, toTensor(tensor)]));
  const outputs = [...signature.outputs.keys()];
  const answers = await servable.run({ signature: "serving_default", inputs: tensors, outputs });
  replies.push({ outputs: Object.fromEntries([...answers].map(([alias, tensor]) => [alias, toJson(tensor)])) });
}
await servable.close();
writeFileSync(reply, JSON.stringify(replies));
