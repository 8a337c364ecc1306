import { request as httpsRequest, type RequestOptions } from "node:https";
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import type { KubeConfig } from "@kubernetes/client-node";
import { DeployError } from "../../errors.ts";
import { answeredWith, unreachable } from "./api-errors.ts";

const TIMEOUT_MS = 30_000;

export interface ApiCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From the root of the API, `/api/v1/...`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

/**
 * The API server of a cluster, reached as a kubeconfig says. Objects go as they are, so that what was rendered is what is
 * applied: the official client's models rename fields (`_from`) and drop what they do not know.
 */
export class ClusterApi {
  readonly #config: KubeConfig;

  constructor(config: KubeConfig) {
    this.#config = config;
  }

  /** The server's answer as JSON. Throws `CLUSTER_UNREACHABLE`, `CLUSTER_REFUSED` with the server's own reason. */
  async call<T>(call: ApiCall): Promise<T> {
    const answer = await this.#send(call);
    const body = await text(answer);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return (body === "" ? {} : JSON.parse(body)) as T;
    throw answeredWith(call, status, body);
  }

  /** The same where the object may be missing: `undefined` for 404. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.call<T>({ method: "GET", path });
    } catch (error) {
      if (error instanceof DeployError && error.code === "CLUSTER_OBJECT_MISSING") return undefined;
      throw error;
    }
  }

  /** The answer's bytes as they come: logs. */
  async stream(call: ApiCall): Promise<AsyncIterable<Buffer>> {
    const answer = await this.#send(call);
    const status = answer.statusCode ?? 0;
    if (status >= 300) throw answeredWith(call, status, await text(answer));
    return answer as AsyncIterable<Buffer>;
  }

  async #send({ method, path, query, body, contentType, signal }: ApiCall): Promise<IncomingMessage> {
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null) throw unreachable("the kubeconfig names no cluster");
    const url = new URL(cluster.server);
    url.pathname = `${url.pathname.replace(/\/$/, "")}${path}`;
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      method,
      timeout: TIMEOUT_MS,
      headers: { accept: "application/json" },
      ...(signal !== undefined && { signal }),
    };
    await this.#config.applyToHTTPSOptions(options);
    options.headers = {
      ...(options.headers as OutgoingHttpHeaders | undefined),
      ...(payload !== undefined && {
        "content-type": contentType ?? "application/json",
        "content-length": Buffer.byteLength(payload),
      }),
    };
    const send = url.protocol === "http:" ? httpRequest : httpsRequest;
    return new Promise((resolve, reject) => {
      const request = send(url, options, resolve);
      request.once("timeout", () => request.destroy(new Error("no answer in time")));
      request.once("error", (cause) => reject(unreachable(`${url.host} cannot be reached`, cause)));
      request.end(payload);
    });
  }
}
