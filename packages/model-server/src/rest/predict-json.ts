import type { Tensor } from "@cloister/encoding/tensor";
import type { SignatureInfo } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import { JsonReader } from "./json-reader.ts";
import { isBase64Object, JsonTensorParser } from "./json-tensor.ts";
import { readMembers } from "./json-members.ts";
import { tensorText } from "./tensor-text.ts";

/** `row`: a list of instances, answered by a list of predictions. `column`: whole tensors in both directions. */
export type PredictFormat = "row" | "column";

export interface JsonPredictRequest {
  readonly signatureName: string;
  readonly format: PredictFormat;
  readInputs(signature: SignatureInfo): Map<string, Tensor>;
}

/** The body of a `:predict` request. Its tensors are read once the signature is known. Throws INVALID_ARGUMENT. */
export function readPredictBody(body: Uint8Array): JsonPredictRequest {
  const reader = new JsonReader(body);
  const members = readMembers(reader);
  const signatureName = members.string("signature_name");
  const instances = members.position("instances");
  const inputs = members.position("inputs");
  if (instances === undefined && inputs === undefined) {
    throw callError("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key");
  }
  if (instances !== undefined && inputs !== undefined) {
    throw callError("INVALID_ARGUMENT", "Expecting only one of 'inputs' or 'instances' key");
  }
  const isRow = instances !== undefined;
  return {
    signatureName,
    format: isRow ? "row" : "column",
    readInputs: (signature) => {
      reader.seek(instances ?? inputs ?? 0);
      return isRow ? readInstances(reader, signature) : readColumns(reader, signature);
    },
  };
}

function readInstances(reader: JsonReader, signature: SignatureInfo): Map<string, Tensor> {
  if (reader.peek() !== "array") throw callError("INVALID_ARGUMENT", "Expecting 'instances' value to be a list/array");
  reader.enterArray();
  const parsers = parsersFor(signature);
  let rows = 0;
  for (; reader.nextItem(rows === 0); rows++) {
    if (isNamed(reader, signature)) readRow(reader, parsers);
    else soleParser(parsers, "instances").read(reader);
  }
  if (rows === 0) throw callError("INVALID_ARGUMENT", "No values in 'instances'");
  return tensorsOf(parsers, true);
}

function readColumns(reader: JsonReader, signature: SignatureInfo): Map<string, Tensor> {
  const parsers = parsersFor(signature);
  if (isNamed(reader, signature)) readRow(reader, parsers);
  else soleParser(parsers, "inputs").read(reader);
  return tensorsOf(parsers, false);
}

/** Whether an object with the names of inputs comes next, and not a value. */
function isNamed(reader: JsonReader, signature: SignatureInfo): boolean {
  if (reader.peek() !== "object") return false;
  return signature.inputs.size !== 1 || !isBase64Object(reader);
}

function parsersFor(signature: SignatureInfo): Map<string, JsonTensorParser> {
  return new Map([...signature.inputs].map(([alias, { dtype }]) => [alias, new JsonTensorParser(dtype)]));
}

function soleParser(parsers: ReadonlyMap<string, JsonTensorParser>, key: string): JsonTensorParser {
  const [parser] = parsers.values();
  if (parsers.size === 1 && parser !== undefined) return parser;
  throw callError(
    "INVALID_ARGUMENT",
    `'${key}' is a plain value/list, but expecting object/map as input signature has ${parsers.size} inputs: ${namesOf(parsers)}`,
  );
}

/** An object that has exactly the inputs' names; of a name that stands twice the first counts. */
function readRow(reader: JsonReader, parsers: ReadonlyMap<string, JsonTensorParser>): void {
  reader.enterObject();
  const seen = new Set<string>();
  for (let name = reader.nextName(true); name !== undefined; name = reader.nextName(false)) {
    const parser = parsers.get(name);
    if (parser === undefined) throw namesDiffer(parsers);
    if (seen.has(name)) reader.skipValue();
    else parser.read(reader);
    seen.add(name);
  }
  if (seen.size !== parsers.size) throw namesDiffer(parsers);
}

function namesDiffer(parsers: ReadonlyMap<string, unknown>): Error {
  return callError("INVALID_ARGUMENT", `Failed to process element: the keys must be equal to: ${namesOf(parsers)}`);
}

function namesOf(parsers: ReadonlyMap<string, unknown>): string {
  return [...parsers.keys()].toSorted().join(",");
}

function tensorsOf(parsers: ReadonlyMap<string, JsonTensorParser>, isBatch: boolean): Map<string, Tensor> {
  return new Map([...parsers].map(([alias, parser]) => [alias, parser.tensor(isBatch)]));
}

/** The body of a `:predict` answer in the format of its request. Throws INVALID_ARGUMENT where outputs are no batch. */
export function writePredictBody(outputs: ReadonlyMap<string, Tensor>, format: PredictFormat): string {
  return format === "row"
    ? `{\n    "predictions": ${predictions(outputs)}\n}`
    : `{\n    "outputs": ${columns(outputs)}\n}`;
}

function predictions(outputs: ReadonlyMap<string, Tensor>): string {
  const rows = batchSize(outputs);
  const [only] = outputs;
  if (outputs.size === 1 && only !== undefined) return tensorText(only[1], only[0]);
  const texts = Array.from({ length: rows }, (_, row) => {
    const members = [...outputs].map(
      ([alias, tensor]) => `${JSON.stringify(alias)}: ${tensorText(tensor, alias, row)}`,
    );
    return `{\n            ${members.join(",\n            ")}\n        }`;
  });
  return `[\n        ${texts.join(",\n        ")}\n    ]`;
}

function batchSize(outputs: ReadonlyMap<string, Tensor>): number {
  let size: number | undefined;
  for (const [alias, { shape }] of outputs) {
    const [rows] = shape;
    if (rows === undefined) {
      throw callError("INVALID_ARGUMENT", `Tensor name: ${alias} has no shape information`);
    }
    if ((size ??= rows) !== rows) {
      throw callError(
        "INVALID_ARGUMENT",
        `Tensor name: ${alias} has inconsistent batch size: ${rows} expecting: ${size}`,
      );
    }
  }
  return size ?? 0;
}

function columns(outputs: ReadonlyMap<string, Tensor>): string {
  const [only] = outputs;
  if (outputs.size === 1 && only !== undefined) return tensorText(only[1], only[0]);
  const members = [...outputs].map(([alias, tensor]) => `${JSON.stringify(alias)}: ${tensorText(tensor, alias)}`);
  return `{\n        ${members.join(",\n        ")}\n    }`;
}
