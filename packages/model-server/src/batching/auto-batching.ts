import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";
import type { RunRequest, Servable, TensorInfo } from "../engine/engine.ts";
import { DEFAULT_SIGNATURE } from "../serving/run-signature.ts";
import { joinRows, sliceRows } from "../rows.ts";

const SIZES = [2, 4, 8, 16, 32];
/** A larger batch has to give this many times the rows a second of the best so far, or it is not worth its latency. */
const WORTHWHILE = 1.1;
const RUNS = 3;
/** Time for all measurements of a model. */
const BUDGET_MS = 3000;
/** Dimensions besides the rows that a signature leaves open. */
const OPEN_DIMENSION = 16;
const MAX_SAMPLE_ELEMENTS = 16 * 1024 * 1024;

/** What was found out about a model. */
export interface BatchingVerdict {
  /** 1: requests are better run one by one. */
  readonly maxBatchSize: number;
  /** Rows a second of the best batch, beside those of single rows. */
  readonly gain: number;
  readonly why: string;
}

/**
 * Measures whether a model answers more rows a second in batches, with zeros for its default signature. A batch whose first row
 * is not bit for bit what the row alone gives is never chosen: batching must not change answers. `now` tells milliseconds.
 */
export async function measureBatching(
  servable: Servable,
  now: () => number = () => performance.now(),
): Promise<BatchingVerdict> {
  const row = sampleRow(servable);
  if (row === undefined) return verdict(1, 1, "the default signature has no batch dimension that could be tried");
  try {
    return await compareSizes(servable, row, now);
  } catch {
    return verdict(1, 1, "the model refused a batch of zeros");
  }
}

async function compareSizes(servable: Servable, row: RunRequest, now: () => number): Promise<BatchingVerdict> {
  const endsAt = now() + BUDGET_MS;
  const alone = await servable.run(row);
  const single = await rowsPerSecond(servable, row, 1, now);
  let best = { size: 1, rate: single };
  for (const size of SIZES) {
    const batch = repeated(row, size);
    if (elements(batch) > MAX_SAMPLE_ELEMENTS) break;
    if (!isFirstRow(alone, await servable.run(batch), size)) {
      return verdict(
        best.size,
        best.rate / single,
        `answers in a batch of ${size} are not bit for bit those of one row`,
      );
    }
    const rate = await rowsPerSecond(servable, batch, size, now);
    if (rate < best.rate * WORTHWHILE) break;
    best = { size, rate };
    if (now() > endsAt) break;
  }
  return verdict(best.size, best.rate / single, "measured");
}

/** The median of a few runs. */
async function rowsPerSecond(
  servable: Servable,
  request: RunRequest,
  rows: number,
  now: () => number,
): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const startedAt = now();
    await servable.run(request);
    times.push(now() - startedAt);
  }
  return (rows * 1000) / (times.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)] ?? Number.NaN);
}

function sampleRow({ signatures, unsupported }: Servable): RunRequest | undefined {
  const signature = signatures.get(DEFAULT_SIGNATURE);
  if (signature === undefined || unsupported.has(DEFAULT_SIGNATURE)) return undefined;
  const inputs = new Map<string, Tensor>();
  for (const [alias, info] of signature.inputs) {
    const tensor = zeros(info);
    if (tensor === undefined) return undefined;
    inputs.set(alias, tensor);
  }
  return { signature: DEFAULT_SIGNATURE, inputs, outputs: [...signature.outputs.keys()] };
}

/** One row of zeros; `undefined` where the input has no open first dimension, or holds text. */
function zeros({ dtype, shape }: TensorInfo): Tensor | undefined {
  const [rows, ...rest] = shape ?? [];
  if (rows === undefined || rows >= 0) return undefined;
  const filled = [1, ...rest.map((size) => (size < 0 ? OPEN_DIMENSION : size))];
  const data = layoutOf(dtype).allocate?.(elementCount(filled));
  return data && { dtype, shape: filled, data };
}

function repeated({ inputs, ...request }: RunRequest, size: number): RunRequest {
  const rows = new Map([...inputs].map(([alias, row]) => [alias, joinRows(Array.from({ length: size }, () => row))]));
  return { ...request, inputs: rows };
}

function elements({ inputs }: RunRequest): number {
  return [...inputs.values()].reduce((sum, { data }) => sum + data.length, 0);
}

function isFirstRow(alone: ReadonlyMap<string, Tensor>, batch: ReadonlyMap<string, Tensor>, size: number): boolean {
  return [...alone].every(([alias, one]) => {
    const many = batch.get(alias);
    if (many?.shape[0] !== size || one.shape[0] !== 1) return false;
    const first = sliceRows(many, 0, 1).data;
    return Buffer.compare(bytesOf(one.data), bytesOf(first)) === 0;
  });
}

function bytesOf(data: Tensor["data"]): Buffer {
  return ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.concat(data);
}

function verdict(maxBatchSize: number, gain: number, why: string): BatchingVerdict {
  return { maxBatchSize, gain, why };
}
