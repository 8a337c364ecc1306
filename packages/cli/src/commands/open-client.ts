import {
  type CallOptions,
  createChannel,
  createRestTransport,
  PredictClient,
  type Prediction,
  predictFrame,
  type PredictInput,
  RestClient,
  restPredictBody,
  type VerifiedReplica,
} from "@cloister/client";
import { type Command, Option } from "commander";
import { wholeNumber } from "../flags.ts";
import { channelOptionsOf, type ClientFlags, withClientOptions } from "./client-options.ts";

const REST_PORT = 8501;

export interface CallFlags extends ClientFlags {
  readonly transport: "grpc" | "rest";
  readonly deadlineMs: number;
  readonly retries: number;
  readonly hedgeAfterMs?: number;
}

/** One server by either API, as commands that ask for predictions need it. */
export interface ServingClient {
  metadata: PredictClient["metadata"];
  predict(input: PredictInput, options: CallOptions): Promise<Prediction>;
  /** The same call again and again: it is serialized once. */
  repeatable(input: PredictInput, options: CallOptions): () => Promise<Prediction>;
  close(): Promise<void>;
}

/** How to reach a server, by which of its APIs, and how calls are repeated. */
export function withCallOptions(command: Command): Command {
  return withClientOptions(command)
    .addOption(
      new Option("--transport <api>", `gRPC, or REST at its own --address (default port: ${REST_PORT})`)
        .choices(["grpc", "rest"])
        .default("grpc"),
    )
    .option("--deadline-ms <n>", "time for a call, repetitions included", wholeNumber(1, 3_600_000), 30_000)
    .option("--retries <n>", "repeat a call that was not answered so often", wholeNumber(0, 100), 5)
    .option("--hedge-after-ms <n>", "ask over another connection too after this time", wholeNumber(1, 3_600_000));
}

export function callOptionsOf({ deadlineMs, retries, hedgeAfterMs }: CallFlags): CallOptions {
  return { deadlineMs, retries, ...(hedgeAfterMs !== undefined && { hedgeAfterMs }) };
}

/** Opens no connection yet. Throws what reading the files that flags name throws. */
export async function openClient(
  flags: CallFlags,
  connections: number,
  onVerified: (replica: VerifiedReplica) => void,
): Promise<ServingClient> {
  if (flags.transport === "rest") {
    const transport = createRestTransport({ ...(await channelOptionsOf(flags, onVerified, REST_PORT)), connections });
    const client = new RestClient(transport);
    return {
      metadata: (input, options) => client.metadata(input, options),
      predict: (input, options) => client.predict(input, options),
      repeatable: (input, options) => {
        const body = restPredictBody(input);
        return () => client.predictBody(input, body, options);
      },
      close: () => transport.close(),
    };
  }
  const channel = createChannel({ ...(await channelOptionsOf(flags, onVerified)), connections });
  const client = new PredictClient(channel);
  return {
    metadata: (input, options) => client.metadata(input, options),
    predict: (input, options) => client.predict(input, options),
    repeatable: (input, options) => {
      const frame = predictFrame(input);
      return () => client.predictFrame(frame, options);
    },
    close: () => channel.close(),
  };
}
