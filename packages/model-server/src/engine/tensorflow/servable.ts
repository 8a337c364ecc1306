import type { Tensor } from "@cloister/encoding/tensor";
import {
  describeMissing,
  type ModelFiles,
  readSignatures,
  SavedModelError,
  type Signature,
} from "@cloister/saved-model";
import { checkRequest, requireSignature, requireSupported } from "../check-request.ts";
import type { RunRequest, Servable } from "../engine.ts";
import { copyTensor } from "../copy-tensor.ts";
import { engineError } from "../failure.ts";
import { RequestQueue } from "../request-queue.ts";
import type { Address, CApi } from "./c-api.ts";
import { sessionConfig } from "./config.ts";
import { writeMemoryModel } from "./memory-files.ts";
import { fromNative, toNative } from "./native-tensor.ts";
import { TensorFlowError, withStatus, withStatusAsync } from "./status.ts";

export interface TensorFlowOptions {
  /** Threads inside one operator; 0 is one per core. The first model of a process decides. */
  readonly threads: number;
  /** Requests of a model that run at a time. */
  readonly lanes: number;
  readonly maxQueue: number;
  /** Tags of the graph to load, all of them and no others. */
  readonly tags: readonly string[];
}

/** An output of an operation (TF_Output of c_api.h): an address and an index, as they lie in memory. */
type NativeOutput = readonly [bigint, bigint];

/** A model in a session of TensorFlow. Requests run on threads of libuv, so that the caller's stays free. */
export class TensorFlowServable implements Servable {
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly initOp: string | undefined;
  readonly #api: CApi;
  readonly #session: Address;
  readonly #graph: Address;
  readonly #queue: RequestQueue;
  #closing: Promise<void> | undefined;

  private constructor(
    api: CApi,
    [session, graph]: readonly [Address, Address],
    { signatures, initialization }: ReturnType<typeof readSignatures>,
    options: TensorFlowOptions,
  ) {
    this.#api = api;
    this.#session = session;
    this.#graph = graph;
    this.signatures = signatures;
    this.initOp = initialization.op;
    const unfit = [...signatures].filter(([, signature]) => signature.unfit);
    this.unsupported = new Map(unfit.map(([key, signature]) => [key, describeMissing(signature.unfit ?? [])]));
    const lane = { run: (request: RunRequest) => this.#run(request) };
    this.#queue = new RequestQueue([lane], options.lanes, options.maxQueue);
  }

  /** @throws SavedModelError, EngineError LOAD_FAILED */
  static async load(api: CApi, files: ModelFiles, options: TensorFlowOptions): Promise<TensorFlowServable> {
    const described = readSignatures(files, options.tags);
    const graph = api.newGraph();
    try {
      const session = await loadSession(api, graph, files, options);
      return new TensorFlowServable(api, [session, graph], described, options);
    } catch (error) {
      api.deleteGraph(graph);
      throw error instanceof TensorFlowError ? refusedModel(error) : error;
    }
  }

  run(request: RunRequest): Promise<Map<string, Tensor>> {
    return this.#queue.run(request);
  }

  async #run({ signature: key, inputs, outputs }: RunRequest): Promise<Map<string, Tensor>> {
    const signature = requireSignature(this.signatures, key);
    requireSupported(this.unsupported, key);
    const whole = new Map([...(signature.defaults ?? []), ...inputs]);
    checkRequest(signature, whole, outputs);
    // Aliases may share a tensor, which TensorFlow takes once; and it does not fetch what it is fed.
    const feeds = new Map<string, Tensor>();
    for (const [alias, { name }] of signature.inputs) feeds.set(name, whole.get(alias) as Tensor);
    const names = outputs.map((alias) => signature.outputs.get(alias)?.name ?? "");
    const fetches = [...new Set(names)].filter((name) => !feeds.has(name));
    const fetched = await this.#runSession(feeds, fetches);
    return new Map(
      outputs.map((alias, index) => {
        const name = names[index] ?? "";
        const tensor = fetched.get(name) ?? copyTensor(feeds.get(name) as Tensor);
        return [alias, tensor];
      }),
    );
  }

  async #runSession(
    feeds: ReadonlyMap<string, Tensor>,
    fetches: readonly string[],
  ): Promise<ReadonlyMap<string, Tensor>> {
    if (fetches.length === 0) return new Map();
    const inputs = BigUint64Array.from([...feeds.keys()].flatMap((name) => this.#output(name)));
    const outputs = BigUint64Array.from(fetches.flatMap((name) => this.#output(name)));
    const given = new BigUint64Array(feeds.size);
    const results = new BigUint64Array(fetches.length);
    try {
      for (const [index, [name, tensor]] of [...feeds].entries()) {
        given[index] = BigInt(toNative(this.#api, name, tensor));
      }
      await this.#call(inputs, given, outputs, results);
      return new Map(fetches.map((name, index) => [name, fromNative(this.#api, Number(results[index]))]));
    } finally {
      for (const tensor of [...given, ...results]) if (tensor !== 0n) this.#api.deleteTensor(Number(tensor));
    }
  }

  async #call(
    inputs: BigUint64Array,
    given: BigUint64Array,
    outputs: BigUint64Array,
    results: BigUint64Array,
  ): Promise<void> {
    const { sessionRun } = this.#api;
    try {
      await withStatusAsync<void>(this.#api, (status, done) => {
        const [session, none] = [this.#session, 0];
        sessionRun.async(
          ...([session, none, inputs, given, given.length, outputs, results, results.length] as const),
          ...([none, 0, none, status] as const),
          done,
        );
      });
    } catch (error) {
      throw error instanceof TensorFlowError ? refusedRequest(error) : error;
    }
  }

  #output(name: string): NativeOutput {
    const colon = name.lastIndexOf(":");
    const [node, index] = colon === -1 ? [name, "0"] : [name.slice(0, colon), name.slice(colon + 1)];
    const operation = this.#api.graphOperationByName(this.#graph, node);
    if (operation !== 0) return [BigInt(operation), BigInt(index)];
    throw engineError(
      "LOAD_FAILED",
      "the signature names a tensor that the graph lacks",
      "the model is damaged",
      "export it again",
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#queue.close();
    withStatus(this.#api, (status) => this.#api.closeSession(this.#session, status));
    withStatus(this.#api, (status) => this.#api.deleteSession(this.#session, status));
    this.#api.deleteGraph(this.#graph);
  }
}

async function loadSession(
  api: CApi,
  graph: Address,
  files: ModelFiles,
  { threads, lanes, tags }: TensorFlowOptions,
): Promise<Address> {
  const options = api.newSessionOptions();
  try {
    const config = sessionConfig(threads, lanes);
    withStatus(api, (status) => api.setConfig(options, config, config.length, status));
    const model = writeMemoryModel(api, files);
    try {
      return await withStatusAsync<Address>(api, (status, done) => {
        api.loadSessionFromSavedModel.async(options, 0, model.path, [...tags], tags.length, graph, 0, status, done);
      });
    } finally {
      model.remove();
    }
  } finally {
    api.deleteSessionOptions(options);
  }
}

/** TensorFlow's build has the ops of TensorFlow itself; others come with libraries of their own. */
const UNKNOWN_OP = /Op type not registered '([\w>]{1,100})'/;

function refusedModel(cause: TensorFlowError): Error {
  const [, op] = UNKNOWN_OP.exec(cause.message) ?? [];
  if (op === undefined) {
    return engineError("LOAD_FAILED", "TensorFlow cannot load the model", reasonOf(cause), "export it again", cause);
  }
  return new SavedModelError(
    "UNSUPPORTED_OPS",
    {
      what: "TensorFlow cannot load the model",
      why: `missing ops: ${op}`,
      remedy: "export a model without this op",
    },
    { cause },
  );
}

/** What the caller cannot mend by sending something else. (tf_status.h) */
const SERVER_FAULTS = new Set([2, 8, 12, 13, 14, 15]);

function refusedRequest(cause: TensorFlowError): Error {
  const code = SERVER_FAULTS.has(cause.code) ? "ENGINE_FAILED" : "INPUT_INVALID";
  const remedy = "compare the inputs with the model's signature";
  return engineError(code, "the request cannot be computed", reasonOf(cause), remedy, cause);
}

const CODE_NAMES: Readonly<Record<number, string>> = {
  2: "UNKNOWN",
  3: "INVALID_ARGUMENT",
  5: "NOT_FOUND",
  8: "RESOURCE_EXHAUSTED",
  9: "FAILED_PRECONDITION",
  11: "OUT_OF_RANGE",
  12: "UNIMPLEMENTED",
  13: "INTERNAL",
  15: "DATA_LOSS",
};

function reasonOf({ code }: TensorFlowError): string {
  return `TensorFlow says ${CODE_NAMES[code] ?? `status ${code}`}`;
}
