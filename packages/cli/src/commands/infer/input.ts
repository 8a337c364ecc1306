import { readFile } from "node:fs/promises";
import { ClientError, imageToTensor, jsonToTensor, randomTensor, readNpy } from "@cloister/client";
import type { DType, Tensor } from "@cloister/encoding/tensor";
import { layoutOfCode } from "@cloister/encoding/tensor-proto";
import type { Command } from "commander";
import { InputError, readText } from "../../read-document.ts";
import type { ServingClient } from "../open-client.ts";

export interface InputFlags {
  readonly image?: string;
  readonly input?: string;
  readonly npy?: string;
  readonly inputName?: string;
  readonly signature: string;
  readonly scale?: number;
  readonly offset?: number;
  readonly batch?: number;
}

/** One input of a signature. A dimension that the model leaves open is -1. */
export interface InputSlot {
  readonly alias: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export function withInputOptions(command: Command): Command {
  return command
    .option("--image <file>", "picture (PNG, JPEG), resized to the model's input")
    .option("--input <file>", 'JSON: nested arrays of numbers, or {"instances": …}')
    .option("--npy <file>", "NumPy array")
    .option("--input-name <alias>", "which input of the signature (default: the only one)")
    .option("--signature <name>", "signature to call", "serving_default")
    .option("--scale <number>", "a sample of 0 to 255 is multiplied by it (default: 1/255)", Number)
    .option("--offset <number>", "and this is added (default: 0)", Number);
}

/** Asks the server for the signature, and picks the input. */
export async function inputSlot(
  client: Pick<ServingClient, "metadata">,
  model: string,
  flags: InputFlags,
): Promise<InputSlot> {
  const { signatures } = await client.metadata({ model }, { deadlineMs: 30_000 });
  const inputs = signatures.get(flags.signature)?.inputs;
  const aliases = Object.keys(inputs ?? {});
  const alias = flags.inputName ?? (aliases.length === 1 ? aliases[0] : undefined);
  const info = alias === undefined ? undefined : inputs?.[alias];
  if (alias === undefined || info === undefined) {
    throw new InputError("OPTION_MISSING", {
      what: "nothing was sent",
      why: `signature ${flags.signature} has the inputs: ${aliases.join(", ") || "none"}`,
      remedy: "name one with --input-name, or another --signature",
    });
  }
  const dtype = layoutOfCode(info.dtype)?.dtype ?? "float";
  const shape = info.tensorShape?.dim.map(({ size }) => Number(size)) ?? [];
  return { alias, dtype, shape };
}

/** The input from whatever the flags name; random values where they name nothing. */
export async function makeInput(slot: InputSlot, flags: InputFlags): Promise<Tensor> {
  if (flags.image !== undefined) return imageInput(slot, await readBytes(flags.image), flags);
  if (flags.npy !== undefined) return readNpy(await readBytes(flags.npy));
  if (flags.input !== undefined) return jsonToTensor(await readJson(flags.input), slot.dtype);
  const [first = 1, ...rest] = slot.shape;
  const batch = first === -1 ? (flags.batch ?? 1) : first;
  return randomTensor(slot.dtype, slot.shape.length === 0 ? [] : [batch, ...rest.map(known)]);
}

function imageInput(slot: InputSlot, encoded: Uint8Array, { scale, offset }: InputFlags): Promise<Tensor> {
  const [, height, width, channels] = slot.shape;
  const isPicture = slot.shape.length === 4 && (channels === 1 || channels === 3);
  if (!isPicture || height === undefined || width === undefined || slot.dtype !== "float") {
    throw new ClientError("INPUT_INVALID", {
      what: "nothing was sent",
      why: `the input ${slot.alias} takes no pictures: ${slot.dtype} [${slot.shape.join(", ")}]`,
      remedy: "give --input or --npy",
    });
  }
  return imageToTensor(encoded, {
    height: known(height),
    width: known(width),
    channels: channels === 3 ? "rgb" : "grayscale",
    ...(scale !== undefined && { scale }),
    ...(offset !== undefined && { offset }),
  });
}

/** Reads a file whole. Throws FILE_UNREADABLE. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new InputError(
      "FILE_UNREADABLE",
      { what: `${path} was not read`, why: "the file cannot be opened", remedy: "check the path" },
      { cause },
    );
  }
}

/** JSON only: tensors are too long for a YAML parser. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readText(path)) as unknown;
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(
      "FILE_MALFORMED",
      { what: `${path} was not read`, why: "it is not JSON", remedy: "correct the file" },
      { cause },
    );
  }
}

/** An open dimension beside the batch becomes 1. */
function known(dimension: number): number {
  return dimension < 0 ? 1 : dimension;
}
