import { setTimeout as sleep } from "node:timers/promises";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Engine, RunRequest, Servable, SignatureInfo, TensorInfo } from "../engine/engine.ts";
import { EngineError } from "../engine/error.ts";
import { jointAlias } from "../engine/joint-signature.ts";
import { computeExamples, EXAMPLE_SIGNATURES } from "./example-computation.ts";

const info = (name: string): TensorInfo => ({ name: `${name}:0`, dtype: "float", shape: [-1] });
const infos = (...names: string[]): ReadonlyMap<string, TensorInfo> => new Map(names.map((name) => [name, info(name)]));
const PREDICT = "tensorflow/serving/predict";

const SIGNATURES: ReadonlyMap<string, SignatureInfo> = new Map([
  ["serving_default", { methodName: PREDICT, inputs: infos("x"), outputs: infos("y", "square") }],
  ["add", { methodName: PREDICT, inputs: infos("a", "b"), outputs: infos("sum") }],
  [
    "scaled",
    {
      methodName: PREDICT,
      inputs: infos("x", "factor"),
      outputs: infos("y"),
      defaults: new Map([["factor", { dtype: "float", shape: [], data: Float32Array.of(10) }]]),
    },
  ],
  ...EXAMPLE_SIGNATURES,
  ["broken", { methodName: PREDICT, inputs: infos("x"), outputs: infos("y") }],
]);

/**
 * A real engine for tests, without native code: `serving_default` gives y = x / 2 + 2 and x squared, `add` sums two tensors,
 * `scaled` multiplies by `factor` (default 10), and the signatures of example-computation.ts parse tf.Examples.
 * Files named "fail" make the load fail. `delayMs` is how long each run takes; `onRun` is told when one begins.
 */
export function elementwiseEngine(delayMs = 0, onRun: () => void = () => undefined): Engine {
  return {
    name: "elementwise",
    load: async (files) => {
      if (files.has("fail")) throw refused("LOAD_FAILED");
      return servable(delayMs, onRun);
    },
  };
}

function servable(delayMs: number, onRun: () => void): Servable {
  return {
    signatures: SIGNATURES,
    unsupported: new Map([["broken", "the op Nonsense is not supported"]]),
    close: async () => undefined,
    run: async (request) => {
      onRun();
      if (delayMs > 0) await sleep(delayMs);
      return compute(request);
    },
  };
}

function compute(request: RunRequest): Map<string, Tensor> {
  const { signature: key, inputs, outputs } = request;
  if (typeof key === "string") return computeOne({ signature: key, inputs, outputs });
  const results = new Map<string, Tensor>();
  for (const signature of key) {
    const own = [...(SIGNATURES.get(signature)?.outputs.keys() ?? [])];
    const wanted = own.filter((alias) => outputs.includes(jointAlias(signature, alias)));
    for (const [alias, tensor] of computeOne({ signature, inputs, outputs: wanted }))
      results.set(jointAlias(signature, alias), tensor);
  }
  return results;
}

function computeOne({
  signature,
  inputs,
  outputs,
}: Pick<RunRequest, "inputs" | "outputs"> & { readonly signature: string }): Map<string, Tensor> {
  const read = (alias: string): Tensor & { readonly data: Float32Array } => {
    const tensor = inputs.get(alias);
    if (!(tensor?.data instanceof Float32Array)) throw refused("INPUT_INVALID");
    return { ...tensor, data: tensor.data };
  };
  const examples = EXAMPLE_SIGNATURES.has(signature) ? inputs.get("inputs") : undefined;
  if (examples !== undefined) return computeExamples(examples, outputs);
  const results = new Map<string, Tensor>();
  if (signature === "scaled") {
    const factor = read("factor").data[0] ?? 0;
    return results.set("y", { ...read("x"), data: read("x").data.map((value) => value * factor) });
  }
  if (signature === "add") {
    const a = read("a");
    const b = read("b");
    results.set("sum", { ...a, data: a.data.map((value, index) => value + (b.data[index] ?? 0)) });
    return results;
  }
  const x = read("x");
  if (outputs.includes("y")) results.set("y", { ...x, data: x.data.map((value) => value / 2 + 2) });
  if (outputs.includes("square")) results.set("square", { ...x, data: x.data.map((value) => value * value) });
  return results;
}

function refused(code: "LOAD_FAILED" | "INPUT_INVALID"): EngineError {
  return new EngineError(code, { what: "the engine refused", why: "float tensors only", remedy: "send float tensors" });
}
