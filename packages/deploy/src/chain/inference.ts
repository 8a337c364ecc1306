import { readFile } from "node:fs/promises";
import { type ChannelOptions, createChannel, generateLoad, PredictClient, predictFrame } from "@cloister/client";
import type { Tensor } from "@cloister/encoding/tensor";
import { OnnxEngine } from "@cloister/model-server/engine";
import { DeployError } from "../errors.ts";
import type { Observe, StepResult } from "./events.ts";
import type { OwnedModel } from "./model.ts";
import { type RequesterFiles, SERVING_NAME } from "./owner.ts";
import type { InferenceReport } from "./report.ts";
import { loadSamples, type Sample, TOLERANCE } from "./samples.ts";

const SIGNATURE = "serving_default";
const CALL_DEADLINE_MS = 30_000;
const RETRIES = 20;
const PROGRESS_EVERY = 50;

export interface InferenceContext {
  readonly model: OwnedModel;
  readonly address: { readonly host: string; readonly port: number };
  readonly requester: RequesterFiles;
}

export interface InferenceOptions {
  /** Requests in all. Samples are sent in turn. */
  readonly requests: number;
  readonly concurrency: number;
}

/** One sample's first answer. */
export interface SampleResult {
  readonly sample: Sample;
  /** Index of the largest output value, and that value. */
  readonly top: number;
  readonly value: number;
  /** Largest difference to the reference output. */
  readonly difference: number;
  /** Whether the output equals the reference within the tolerance. */
  readonly isEqual: boolean;
  /** Whether the largest value is at the label; without a label, whether the output equals the reference. */
  readonly isRight: boolean;
  readonly replica: string;
}

export interface InferenceResult {
  readonly report: InferenceReport;
  readonly samples: readonly SampleResult[];
  /** Requests answered by each replica. */
  readonly shares: ReadonlyMap<string, number>;
  /** Where the reference answers come from. */
  readonly reference: string;
}

/**
 * Sends real requests through the gateway, as the requester does, and compares every answer with its reference: what TensorFlow
 * answered, where that was recorded, else what the owner's own engine makes of the plaintext model.
 */
export async function inferenceStep(
  context: InferenceContext,
  options: InferenceOptions,
  observe: Observe,
): Promise<StepResult<InferenceResult>> {
  const { samples, reference } = await prepareSamples(context.model);
  const channel = createChannel(await channelOptions(context, options.concurrency));
  const client = new PredictClient(channel);
  const frames = samples.map(({ inputs }) => predictFrame({ model: context.model.name, inputs }));
  const firsts: (SampleResult | undefined)[] = samples.map(() => undefined);
  let correct = 0;
  let equal = 0;
  const call = async (index: number) => {
    const lane = index % samples.length;
    const [sample, frame] = [samples[lane], frames[lane]];
    if (sample === undefined || frame === undefined) throw new RangeError("there is a sample for every request");
    const { outputs, replica } = await client.predictFrame(frame, { deadlineMs: CALL_DEADLINE_MS, retries: RETRIES });
    const result = judge(sample, outputs, replica);
    firsts[lane] ??= result;
    if (result.isRight) correct += 1;
    if (result.isEqual) equal += 1;
    return { replica };
  };
  const onProgress = (done: number): void => {
    if (done % PROGRESS_EVERY === 0) observe({ type: "progress", text: `${done} of ${options.requests} requests` });
  };
  const load = await generateLoad(call, { ...options, onProgress });
  await channel.close();
  const report: InferenceReport = {
    requests: load.requests,
    correct,
    equal,
    failed: load.failed,
    p50Ms: load.latency.p50Ms,
    p99Ms: load.latency.p99Ms,
    perSecond: load.perSecond,
  };
  const seen = firsts.filter((first) => first !== undefined);
  const result: InferenceResult = { report, samples: seen, shares: load.replicas, reference };
  return { result, facts: [`${load.requests} requests over TLS through the gateway, ${load.failed} failed`] };
}

/** TLS to the replicas as the requester has it: the owner's authority, the serving name, and a certificate for mutual TLS. */
export async function channelOptions(
  { address, requester }: Pick<InferenceContext, "address" | "requester">,
  connections: number,
): Promise<ChannelOptions> {
  const read = (path: string): Promise<string> => readFile(path, "utf8");
  const { ca, cert, key } = requester;
  const identity = cert === undefined || key === undefined ? {} : { cert: await read(cert), key: await read(key) };
  return { address, connections, tls: { ca: await read(ca), serverName: SERVING_NAME, ...identity } };
}

/** Samples with a golden output each. */
async function prepareSamples(model: OwnedModel): Promise<{ samples: Sample[]; reference: string }> {
  const servable = await new OnnxEngine().load(model.files);
  try {
    const signature = servable.signatures.get(SIGNATURE);
    if (signature === undefined) throw noSignature();
    const samples = await loadSamples(model.samplesFolder, signature);
    if (samples.every(({ golden }) => golden !== undefined)) return { samples, reference: "recorded from TensorFlow" };
    const outputs = [...signature.outputs.keys()];
    const withGolden: Sample[] = [];
    for (const sample of samples) {
      // The engine may take the buffers over.
      const inputs = structuredClone<Sample["inputs"]>(sample.inputs);
      const answer = await servable.run({ signature: SIGNATURE, inputs, outputs });
      withGolden.push({ ...sample, golden: Array.from(numbersOf(answer)) });
    }
    return { samples: withGolden, reference: "the owner's engine on the plaintext model" };
  } finally {
    await servable.close();
  }
}

function judge(sample: Sample, outputs: ReadonlyMap<string, Tensor>, replica = "unknown"): SampleResult {
  const values = numbersOf(outputs);
  const golden = sample.golden ?? [];
  let top = 0;
  let difference = values.length === golden.length ? 0 : Infinity;
  for (const [index, value] of values.entries()) {
    if (value > (values[top] ?? -Infinity)) top = index;
    // A NaN answer has to count as different.
    const distance = Math.abs(value - (golden[index] ?? NaN));
    difference = distance <= difference ? difference : distance;
  }
  const isEqual = difference <= TOLERANCE;
  const isRight = sample.label === undefined ? isEqual : sample.label === top;
  return { sample, top, value: values[top] ?? NaN, difference, isEqual, isRight, replica };
}

/** The first output's values as numbers. */
function numbersOf(outputs: ReadonlyMap<string, Tensor>): number[] {
  const [first] = [...outputs].sort(([a], [b]) => (a < b ? -1 : 1));
  if (first === undefined || first[1].dtype === "string") return [];
  return Array.from(first[1].data as ArrayLike<number | bigint>, Number);
}

function noSignature(): DeployError {
  return new DeployError("MODEL_NOT_RUNNABLE", {
    what: "no test request could be made",
    why: `the model has no signature ${SIGNATURE}`,
    remedy: "export the model with that signature",
  });
}
