import { parseArgs } from "node:util";
import {
  type ChannelOptions,
  createChannel,
  generateLoad,
  imageToTensor,
  PredictClient,
  predictFrame,
} from "@cloister/client";
import type { Tensor } from "@cloister/encoding/tensor";
import { InvalidArgumentError } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { address } from "../../flags.ts";
import { readText } from "../../read-document.ts";
import { readBytes } from "../infer/input.ts";
import { SINGLE_DASH } from "./original-words.ts";
import { predictionJson } from "../infer/output.ts";

// The command line and output of the original system's resnet_client_grpc.py, so that scripts around it go on working:
// `cloister bench -url … -crt … -batch 1 -cnum 1 -loop 50`.

const SIDE = 224;
const CHANNELS = 3;
const WARMUP_LOOPS = 5;

interface OriginalSettings {
  readonly channel: ChannelOptions;
  readonly isSecure: boolean;
  readonly model: string;
  readonly input: string;
  readonly image: string | undefined;
  readonly batch: number;
  readonly connections: number;
  /** Calls of each connection; 0: until it is interrupted. */
  readonly loops: number;
}

/** Runs the original's command line. What it does not know of ours is not accepted here, but for --model and --server-name. */
export async function runOriginalBench(words: readonly string[]): Promise<number> {
  const settings = await parseOriginal(words);
  const channel = createChannel(settings.channel);
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort();
  process.once("SIGINT", onInterrupt);
  try {
    const client = new PredictClient(channel);
    const inputs = new Map([[settings.input, await makeImages(settings)]]);
    const frame = predictFrame({ model: settings.model, inputs });
    const { connections, loops, batch } = settings;
    let first: Awaited<ReturnType<PredictClient["predict"]>> | undefined;
    const call = async () => {
      const prediction = await client.predictFrame(frame);
      first ??= prediction;
      return prediction;
    };
    const report = await generateLoad(call, {
      concurrency: connections,
      requestsPerLane: loops === 0 ? Infinity : loops,
      warmup: loops === 0 ? 0 : WARMUP_LOOPS,
      signal: stop.signal,
      onCall: ({ lane, loop, latencyMs }) => {
        const kind = settings.isSecure ? "secure" : "insecure";
        const rate = ((batch * 1000) / latencyMs).toFixed(1);
        print(
          `query: ${kind} channel, task ${lane}, batch ${batch}, loop_idx ${loop}, latency(ms) ${latencyMs.toFixed(1)}, tps: ${rate}`,
        );
      },
    });
    if (first !== undefined) print(JSON.stringify(predictionJson(first, () => [])));
    const seconds = (report.durationMs / 1000).toFixed(3);
    const rate = (report.perSecond * batch).toFixed(1);
    print(
      `summary: cnum ${connections}, batch ${batch}, e2e time(s) ${seconds}, average latency(ms) ${report.latency.meanMs.toFixed(1)}, tps: ${rate}`,
    );
    if (report.failed > 0) print(`failed: ${[...report.errors].map(([code, count]) => `${code} ${count}`).join(", ")}`);
    return report.failed === 0 ? EXIT.done : EXIT.refused;
  } finally {
    process.off("SIGINT", onInterrupt);
    await channel.close();
  }
}

async function parseOriginal(words: readonly string[]): Promise<OriginalSettings> {
  const args = words.map((word) => (SINGLE_DASH.has(word) ? `-${word}` : word));
  const text = { type: "string" } as const;
  const options = {
    url: text,
    img: text,
    ca: text,
    key: text,
    crt: text,
    batch: text,
    cnum: text,
    loop: text,
    model: text,
    "server-name": text,
    "input-name": text,
  };
  const { values } = usage(() => parseArgs({ args, options, allowPositionals: false }));
  const { url = "localhost:8500", ca, key, crt, img } = values;
  const isSecure = ca !== undefined || crt !== undefined;
  const tls = await tlsOf(ca, crt, key);
  const serverName = values["server-name"];
  const target = usage(() => address(url));
  const connections = count(values.cnum ?? "16", 1);
  return {
    channel: isSecure
      ? { address: target, connections, tls: { ...tls, ...(serverName !== undefined && { serverName }) } }
      : { address: target, connections, insecure: true },
    isSecure,
    model: values.model ?? "resnet50-v15-fp32",
    input: values["input-name"] ?? "input",
    image: img,
    batch: count(values.batch ?? "1", 1),
    connections,
    loops: count(values.loop ?? "200", 0),
  };
}

/** `-ca`: authority, with `-crt` and `-key` as the own identity. Only `-crt`: it is what the server is trusted by. */
async function tlsOf(ca: string | undefined, crt: string | undefined, key: string | undefined) {
  if (ca === undefined) return crt === undefined ? {} : { ca: await readText(crt) };
  const [caPem, cert, keyPem] = await Promise.all(
    [ca, crt, key].map((path) => (path === undefined ? Promise.resolve(path) : readText(path))),
  );
  return {
    ...(caPem !== undefined && { ca: caPem }),
    ...(cert !== undefined && { cert }),
    ...(keyPem !== undefined && { key: keyPem }),
  };
}

/** Random pixels as the original makes them, or a picture, which unlike there is resized properly. */
async function makeImages({ image, batch }: OriginalSettings): Promise<Tensor> {
  if (image !== undefined && batch === 1) {
    return imageToTensor(await readBytes(image), { width: SIDE, height: SIDE, channels: "rgb", scale: 1 });
  }
  const shape = [batch, SIDE, SIDE, CHANNELS];
  const data = Float32Array.from({ length: batch * SIDE * SIDE * CHANNELS }, () => Math.floor(Math.random() * 255));
  return { dtype: "float", shape, data };
}

function count(text: string, min: number): number {
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text) || value < min) throw new InvalidArgumentError(`a whole number from ${min} on is needed`);
  return value;
}

/** Turns any complaint about the words into one that ends with the exit code for wrong usage. */
function usage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const why = error instanceof Error ? error.message : "the words were not understood";
    process.stderr.write(`error: ${why}\n`);
    throw new InvalidArgumentError(why);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
