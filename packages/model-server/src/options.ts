import type { TensorEncoding } from "@cloister/encoding/tensor-proto";
import type { ModelFiles } from "@cloister/saved-model";
import { type BatchingChoice } from "./batching/batched.ts";
import type { Engine } from "./engine/engine.ts";
import type { LifecycleEvent, LoadRetries } from "./lifecycle/aspired-model.ts";
import type { ServedModel } from "./lifecycle/model-config.ts";
import { type WarmupOptions } from "./lifecycle/prepare-servable.ts";
import { type EvidenceSource } from "./evidence/evidence.ts";
import { type RestOptions } from "./rest/rest-server.ts";
import { type RpcLimits } from "./rpc/limits.ts";
import { type ModelServerTls } from "./rpc/tls.ts";
import type { ConnectionCare } from "./rpc/connection-care.ts";
import type { EndedCall } from "./rpc/unary-call.ts";
import type { ModelSource } from "./sources/model-source.ts";
import type { OtlpExporter } from "./tracing/otlp-exporter.ts";

export interface ModelToServe {
  readonly name: string;
  readonly version: number | bigint;
  /** Not to be changed any more: the model may read them as long as it is loaded. */
  readonly files: ModelFiles;
}

/** Models that are read from folders. */
export interface ServedFolders {
  readonly models: readonly ServedModel[];
  /** Where versions come from. Default: base paths are folders, or URLs of object stores that anybody may read. */
  readonly source?: ModelSource;
  /** Pause between two looks at the folders; 0: look once, and at each new configuration. */
  readonly pollMs: number;
  readonly retries: LoadRetries;
  readonly allowLabelsForUnavailable?: boolean;
}

export interface ModelServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls?: ModelServerTls;
  /** Plaintext, for tests and for use behind another TLS end within the same enclave. Never together with `tls`. */
  readonly insecure?: boolean;
  /** Versions whose files are in memory: from sealed bundles, for example. */
  readonly models: readonly ModelToServe[];
  /** Models in folders. Only where this is given can clients send another configuration (HandleReloadConfigRequest). */
  readonly folders?: ServedFolders;
  readonly engine: Engine;
  /** Where clients that ask for evidence when they connect get it from. Absent: they are turned away. */
  readonly evidence?: EvidenceSource;
  /** Sent with each answer, by either API, in the header `cloister-replica`. */
  readonly replicaId?: string;
  readonly limits?: Partial<RpcLimits>;
  readonly outputEncoding?: TensorEncoding;
  readonly warmup?: WarmupOptions;
  /** Put requests together; absent: each runs on its own. */
  readonly batching?: BatchingChoice;
  /** Answer grpc.health.v1, default true. */
  readonly hasHealthService?: boolean;
  /** Refuse signatures under an API that their method name does not say, default false. */
  readonly checkMethodNames?: boolean;
  /** TensorFlow Serving's REST API. It has the same TLS and client authentication as gRPC. */
  readonly rest?: RestOptions;
  /** REST in plaintext, beside gRPC over TLS or not. */
  readonly insecureRest?: boolean;
  /** Alternative names of the client certificates that may call, for example `DNS:client.example`. Needs verified clients. */
  readonly allowedClients?: readonly string[];
  /** Told about every ended call, REST's too: no payload, no names of tensors. */
  readonly onCallEnd?: (call: EndedCall) => void;
  /** Spans of requests go to a collector. Absent: none are made. */
  readonly tracing?: { readonly ratio: number; readonly exporter: OtlpExporter };
  /** Answer grpc.reflection.v1, default false. */
  readonly hasReflection?: boolean;
  /** gRPC on a Unix socket too, under the same TLS. */
  readonly socketPath?: string;
  /** What becomes of old and silent gRPC connections. */
  readonly connectionCare?: ConnectionCare;
  /** Told what happens to versions. */
  readonly onLifecycle?: (event: LifecycleEvent) => void;
}
