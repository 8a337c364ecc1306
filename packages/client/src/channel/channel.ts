import { setTimeout as sleep } from "node:timers/promises";
import { callFailed, ClientError } from "../errors.ts";
import { sendOnce } from "./attempt.ts";
import { Connection } from "./connection.ts";
import { hedged } from "./hedge.ts";
import type { Address, ChannelOptions, UnaryRequest, UnaryResponse } from "./options.ts";

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const RETRYABLE: ReadonlySet<string> = new Set(["UNAVAILABLE", "CLOSED_AFTER_HANDSHAKE"]);
const FIRST_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 1000;

/** A way to one address over one or more HTTP/2 connections, which are opened when they are needed and replaced when lost. */
export interface Channel {
  /**
   * Sends a unary call, again over a fresh connection where it failed with UNAVAILABLE and retries are left: the deadline
   * covers all attempts. Throws `ClientError`.
   */
  call(request: UnaryRequest): Promise<UnaryResponse>;
  /** Running calls end first; later calls fail with CANCELLED. */
  close(): Promise<void>;
}

/** Opens no connection yet. Throws PLAINTEXT_REFUSED. */
export function createChannel(options: ChannelOptions): Channel {
  const isUnnamed = options.tls?.ca === undefined && options.attestation === undefined && options.insecure !== true;
  const isContradictory = (options.tls === undefined) !== (options.insecure === true);
  if (isUnnamed || isContradictory || (options.insecure === true && options.attestation !== undefined)) {
    throw new ClientError("PLAINTEXT_REFUSED", {
      what: "the channel was refused",
      why: "it needs either TLS options that say whom to trust, or the explicit wish for plaintext, and not both",
      remedy: "pass `tls` with `ca` or `attestation`, or `insecure: true` where nobody else can read the wire",
    });
  }
  return new PooledChannel(options);
}

class PooledChannel implements Channel {
  readonly #options: ChannelOptions;
  readonly #slots: (Promise<Connection> | undefined)[];
  #next = 0;
  #opened = 0;
  #isClosed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.connections ?? 1 }, () => undefined);
  }

  call(request: UnaryRequest): Promise<UnaryResponse> {
    const { hedgeAfterMs } = request;
    if (hedgeAfterMs === undefined) return this.#callWithRetries(request);
    return hedged(hedgeAfterMs, request.signal, (signal) => this.#callWithRetries({ ...request, signal }));
  }

  async #callWithRetries(request: UnaryRequest): Promise<UnaryResponse> {
    const endsAt = request.deadlineMs === undefined ? undefined : performance.now() + request.deadlineMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(request, endsAt);
      } catch (error) {
        if (!isRetryable(error) || attempt >= (request.retries ?? 0)) throw error;
        await backOff(attempt, endsAt, request.signal);
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = await Promise.allSettled(this.#slots.map(async (slot) => slot));
    for (const slot of opened) {
      if (slot.status === "fulfilled") slot.value?.close();
    }
  }

  async #attempt(request: UnaryRequest, endsAt: number | undefined): Promise<UnaryResponse> {
    if (this.#isClosed) throw callFailed("CANCELLED", "the channel is closed");
    const slot = this.#next++ % this.#slots.length;
    const connection = await this.#connection(slot, endsAt);
    try {
      const maxBytes = this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
      return await sendOnce(connection, request, remaining(endsAt), maxBytes);
    } catch (error) {
      if (isRetryable(error)) this.#replace(slot, connection);
      throw error;
    }
  }

  async #connection(slot: number, endsAt: number | undefined): Promise<Connection> {
    const current = this.#slots[slot];
    const usable = await current;
    if (usable?.isUsable === true && usable.expiresAt > performance.now()) return usable;
    // Another call may have opened a new one meanwhile.
    if (this.#slots[slot] !== current) return this.#connection(slot, endsAt);
    const timeLeft = remaining(endsAt) ?? Infinity;
    usable?.close();
    const opening = Connection.open({
      ...this.#options,
      address: this.#nextAddress(),
      connectTimeoutMs: Math.min(timeLeft, this.#options.connectTimeoutMs ?? 5000),
    });
    this.#slots[slot] = opening;
    try {
      return await opening;
    } catch (error) {
      if (this.#slots[slot] === opening) this.#slots[slot] = undefined;
      throw error;
    }
  }

  #nextAddress(): Address {
    const { address, moreAddresses = [] } = this.#options;
    const addresses = [address, ...moreAddresses];
    return addresses[this.#opened++ % addresses.length] ?? address;
  }

  /** A connection whose server said UNAVAILABLE is left: behind a gateway the next one may lead to another server. */
  #replace(slot: number, connection: Connection): void {
    connection.close();
    this.#slots[slot] = undefined;
  }
}

/** Nothing was sent to a replica that was refused, and behind a gateway the next connection may lead to another one. */
function isRetryable(error: unknown): boolean {
  return error instanceof ClientError && (error.isReplicaRefused || RETRYABLE.has(error.code));
}

function remaining(endsAt: number | undefined): number | undefined {
  if (endsAt === undefined) return undefined;
  const leftMs = endsAt - performance.now();
  if (leftMs <= 0) throw callFailed("DEADLINE_EXCEEDED", "Deadline Exceeded");
  return leftMs;
}

/** Exponential, with jitter so that clients of a lost server do not come back in step. */
async function backOff(attempt: number, endsAt: number | undefined, signal: AbortSignal | undefined): Promise<void> {
  const ceilingMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
  const delayMs = ceilingMs * (0.5 + Math.random() / 2);
  const leftMs = remaining(endsAt);
  try {
    await sleep(Math.min(delayMs, leftMs ?? Infinity), undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw callFailed("CANCELLED", "the call was cancelled", { cause });
  }
}
