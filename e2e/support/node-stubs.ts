import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Client, type ClientOptions, type ChannelCredentials, loadPackageDefinition } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ROOT } from "./chain.ts";

const MAX_DESCRIPTOR_BYTES = 16 * 1024 * 1024;

/** A method of a stub, as grpc-js makes it. Messages are plain objects; a map is an array of `{key, value}`. */
type StubMethod = (
  request: object,
  options: { readonly deadline: number },
  done: (error: (Error & { readonly code: number }) | null, response: Record<string, unknown>) => void,
) => void;

type Stub = Client & Readonly<Record<string, StubMethod>>;
type StubConstructor = new (address: string, credentials: ChannelCredentials, options?: ClientOptions) => Stub;

/** TensorFlow Serving's official stubs for grpc-js. */
export interface NodeStubs {
  readonly PredictionService: StubConstructor;
  readonly ModelService: StubConstructor;
}

/** Makes the stubs out of the descriptors that the official Python package carries. `python` has to have it. */
export async function officialNodeStubs(python: string): Promise<NodeStubs> {
  const options = { encoding: "buffer", maxBuffer: MAX_DESCRIPTOR_BYTES } as const;
  const { stdout } = await promisify(execFile)(python, [join(ROOT, "e2e/oracle/describe_stubs.py")], options);
  const definition = loadFileDescriptorSetFromBuffer(stdout, { longs: Number, enums: String });
  const { tensorflow } = loadPackageDefinition(definition) as unknown as { tensorflow: { serving: NodeStubs } };
  return tensorflow.serving;
}

/** One unary call. Rejects with grpc-js's own error, which has the status as `code`. */
export function callStub(stub: Stub, method: string, request: object): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const call = stub[method];
    if (call === undefined) throw new TypeError(`the stub has no ${method}`);
    call.call(stub, request, { deadline: Date.now() + 60_000 }, (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
  });
}
