import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { imageToTensor } from "@cloister/client";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import type { SignatureInfo } from "@cloister/model-server/engine";
import { DeployError } from "../errors.ts";

/** One request's inputs with what is known about the right answer. */
export interface Sample {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Index of the right class, where the data set says so. */
  readonly label?: number;
  /** Output values that real TensorFlow gave, where they were recorded. */
  readonly golden?: readonly number[];
  /** 8-bit gray values of the picture, for showing it. */
  readonly picture?: { readonly width: number; readonly height: number; readonly gray: Uint8Array };
}

/** Largest difference to a reference output that still counts as equal. */
export const TOLERANCE = 1e-5;

const RANDOM_SAMPLES = 16;
const UNKNOWN_DIMENSION = 1;
const MAX_ELEMENTS = 64 * 1024 * 1024;

/**
 * What to ask a model: pictures with labels and TensorFlow's own answers where the folder has `images/*.png`, `labels.json` and
 * `golden.json` and the model takes pictures; else seeded random values.
 */
export async function loadSamples(folder: string, signature: SignatureInfo): Promise<Sample[]> {
  const [alias, ...others] = signature.inputs.keys();
  const shape = alias === undefined ? undefined : signature.inputs.get(alias)?.shape;
  const isPicture = others.length === 0 && shape?.length === 4 && shape[3] === 1;
  const pictures = isPicture && alias !== undefined ? await readLabelledImages(folder, alias, shape) : undefined;
  return pictures ?? randomSamples(signature);
}

async function readLabelledImages(
  folder: string,
  input: string,
  shape: readonly number[],
): Promise<Sample[] | undefined> {
  const read = (name: string): Promise<unknown> =>
    readFile(join(folder, name), "utf8").then(
      (text) => JSON.parse(text) as unknown,
      () => undefined,
    );
  const labels = (await read("labels.json")) as number[] | undefined;
  const golden = (await read("golden.json")) as { probabilities: number[][] } | undefined;
  const [, height = 0, width = 0] = shape;
  if (labels === undefined || golden === undefined || height <= 0 || width <= 0) return undefined;
  const names = (await readdir(join(folder, "images"))).filter((name) => name.endsWith(".png")).sort();
  return Promise.all(
    names.map(async (name, index) => {
      const file = await readFile(join(folder, "images", name));
      const tensor = await imageToTensor(file, { width, height, channels: "grayscale" });
      return {
        name,
        inputs: new Map([[input, tensor]]),
        label: labels[index] ?? -1,
        golden: golden.probabilities[index] ?? [],
        picture: { width, height, gray: Uint8Array.from(tensor.data as Float32Array, (value) => value * 255) },
      };
    }),
  );
}

/**
 * Seeded random inputs in [0, 1) for any signature of float inputs; unknown dimensions become 1.
 * Throws `MODEL_NOT_RUNNABLE` for other dtypes, whose meaning nobody could guess.
 */
function randomSamples(signature: SignatureInfo): Sample[] {
  return Array.from({ length: RANDOM_SAMPLES }, (_, index) => {
    const inputs = new Map<string, Tensor>();
    for (const [alias, { dtype, shape }] of signature.inputs) {
      if (dtype !== "float" || shape === undefined) throw cannotGuess(alias);
      const concrete = shape.map((dimension) => (dimension < 0 ? UNKNOWN_DIMENSION : dimension));
      if (elementCount(concrete) > MAX_ELEMENTS) throw cannotGuess(alias);
      inputs.set(alias, { dtype, shape: concrete, data: seededFloats(`${index}:${alias}`, elementCount(concrete)) });
    }
    return { name: `random-${index}`, inputs };
  });
}

/** Floats in [0, 1) out of a SHA-256 counter stream: the same on every machine. */
function seededFloats(seed: string, count: number): Float32Array {
  const floats = new Float32Array(count);
  for (let start = 0; start < count; start += 8) {
    const block = createHash("sha256").update(`${seed}:${start}`).digest();
    for (let lane = 0; lane < 8 && start + lane < count; lane++) {
      floats[start + lane] = (block.readUInt32LE(lane * 4) >>> 8) / 2 ** 24;
    }
  }
  return floats;
}

function cannotGuess(alias: string): DeployError {
  return new DeployError("MODEL_NOT_RUNNABLE", {
    what: `no test request could be made for the input "${alias}"`,
    why: "only float inputs of known rank get generated values",
    remedy: "put images/, labels.json and golden.json beside the model, or send requests of your own with --keep",
  });
}
