import { asBuffer } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";
import type { PlatformDriver } from "../platform/driver.ts";
import type { FromReplica, ToReplica } from "./messages.ts";

type Pending = { resolve: (quote: Uint8Array) => void; reject: (error: EnclaveError) => void };

/** The replica's side of the SIMULATED platform: asks the parent process for quotes. */
export class SimulatedDriver implements PlatformDriver {
  readonly name = "SIMULATED";
  readonly simulated = true;
  readonly #send: (message: FromReplica) => void;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  constructor(send: (message: FromReplica) => void) {
    this.#send = send;
  }

  quote(reportData: Uint8Array): Promise<Uint8Array> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send({ kind: "quote-request", id, reportData: asBuffer(reportData).toString("base64") });
    });
  }

  /** Hands an answer of the parent to the caller that waits for it. Answers nobody asked for are dropped. */
  deliver(message: Extract<ToReplica, { kind: "quote" | "quote-failed" }>): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === "quote") pending?.resolve(new Uint8Array(Buffer.from(message.quote, "base64")));
    else pending?.reject(quoteFailed());
  }
}

function quoteFailed(): EnclaveError {
  return new EnclaveError("PLATFORM_QUOTE_FAILED", {
    what: "the replica got no quote",
    why: "the simulated platform refused the request",
    remedy: "see the platform's own log",
  });
}
