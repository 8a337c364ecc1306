import { isCodedError } from "@cloister/encoding";
import type { EndedCall, LifecycleEvent } from "@cloister/model-server";
import type { EngineFallback } from "@cloister/model-server/engine";

interface Address {
  readonly host: string;
  readonly port: number;
}

/** What `cloister serve` tells while it runs: lines for people, or one JSON object a line. */
export interface ServeLog {
  readonly line: (event: string, text: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly warn: (text: string) => void;
  readonly listening: (grpc: Address, rest: Address | undefined) => void;
  readonly call: (call: EndedCall) => void;
  readonly lifecycle: (event: LifecycleEvent) => void;
  readonly fallback: (fallback: EngineFallback) => void;
}

export function serveLog(isJson: boolean): ServeLog {
  const line: ServeLog["line"] = (event, text, fields = {}) => {
    const time = new Date().toISOString();
    process.stdout.write(isJson ? `${JSON.stringify({ time, event, ...fields })}\n` : `${time} ${text}\n`);
  };
  return {
    line,
    warn: (text) => line("warning", `warning: ${text}`, { text }),
    listening: (grpc, rest) => {
      const shown = rest === undefined ? "" : `, REST on ${rest.host}:${rest.port}`;
      line("listening", `Running gRPC ModelServer at ${grpc.host}:${grpc.port}${shown}`, { grpc, rest: rest ?? null });
    },
    call: ({ durationMs, ...call }) => {
      const ms = Math.round(durationMs * 1000) / 1000;
      const { api, method, path, status, requestBytes, responseBytes } = call;
      line("call", `${api} ${method} ${path} ${status} ${ms} ms, ${requestBytes} bytes in, ${responseBytes} out`, {
        ...call,
        ms,
      });
    },
    fallback: ({ from, to, reason }) =>
      line("engine_fallback", `a model is loaded by ${to}: ${from} cannot run it: ${reason}`, { from, to, reason }),
    lifecycle: (event) => line(event.event, lifecycleText(event), lifecycleFields(event)),
  };
}

function lifecycleText(event: LifecycleEvent): string {
  switch (event.event) {
    case "loaded":
    case "unloaded":
      return `${event.event} ${event.model} version ${event.version}`;
    case "version_missing":
      return `version ${event.version} of ${event.model} is configured, but not there`;
    case "load_failed": {
      const next = event.isFinal ? "given up" : "to be tried again";
      return `loading ${event.model} version ${event.version} failed, ${next}: ${reason(event.error)}`;
    }
    case "batching_measured": {
      const { model, version, maxBatchSize, gain, why } = event;
      const result =
        maxBatchSize === 1 ? "does not pay" : `pays ${gain.toFixed(2)} times with up to ${maxBatchSize} rows`;
      return `batching ${model} version ${version} ${result}: ${why}`;
    }
    default:
      return `${event.event === "no_versions" ? "no versions of" : "no base path for"} ${event.model}: ${event.path}`;
  }
}

function lifecycleFields(event: LifecycleEvent): Readonly<Record<string, unknown>> {
  const { event: _name, ...fields } = event;
  const error = "error" in event ? { error: reason(event.error) } : {};
  const version = "version" in event ? { version: String(event.version) } : {};
  return { ...fields, ...version, ...error };
}

/** Other errors may name content: only ours are shown. */
function reason(error: Error): string {
  return isCodedError(error) ? `${error.code}: ${error.message}` : "unexpected error";
}
