import { callFailed, ClientError } from "../errors.ts";
import { AddressBook } from "./address-book.ts";
import { sendOnce } from "./attempt.ts";
import { Connection } from "./connection.ts";
import type { ChannelOptions, UnaryRequest, UnaryResponse } from "./options.ts";
import { isRetryable, remaining, repeated } from "./retry.ts";

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

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
  refuseSilentPlaintext(options);
  return new PooledChannel(options);
}

/** Throws PLAINTEXT_REFUSED where the options do not say whom to trust, or contradict each other. */
export function refuseSilentPlaintext(options: Pick<ChannelOptions, "tls" | "attestation" | "insecure">): void {
  const isUnnamed = options.tls?.ca === undefined && options.attestation === undefined && options.insecure !== true;
  const isContradictory = (options.tls === undefined) !== (options.insecure === true);
  if (isUnnamed || isContradictory || (options.insecure === true && options.attestation !== undefined)) {
    throw new ClientError("PLAINTEXT_REFUSED", {
      what: "the channel was refused",
      why: "it needs either TLS options that say whom to trust, or the explicit wish for plaintext, and not both",
      remedy: "pass `tls` with `ca` or `attestation`, or `insecure: true` where nobody else can read the wire",
    });
  }
}

class PooledChannel implements Channel {
  readonly #options: ChannelOptions;
  readonly #addresses: AddressBook;
  readonly #slots: (Promise<Connection> | undefined)[];
  #next = 0;
  #isClosed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#addresses = new AddressBook(options);
    this.#slots = Array.from({ length: options.connections ?? 1 }, () => undefined);
  }

  call(request: UnaryRequest): Promise<UnaryResponse> {
    return repeated(request, (endsAt, signal) => this.#attempt({ ...request, signal }, endsAt));
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
    const opening = this.#open(Math.min(timeLeft, this.#options.connectTimeoutMs ?? 5000));
    this.#slots[slot] = opening;
    try {
      return await opening;
    } catch (error) {
      if (this.#slots[slot] === opening) this.#slots[slot] = undefined;
      throw error;
    }
  }

  async #open(connectTimeoutMs: number): Promise<Connection> {
    const { address, serverName } = await this.#addresses.next();
    const { tls } = this.#options;
    return Connection.open({
      ...this.#options,
      address,
      connectTimeoutMs,
      ...(tls !== undefined && { tls: { serverName, ...tls } }),
    });
  }

  /** A connection whose server said UNAVAILABLE is left: behind a gateway the next one may lead to another server. */
  #replace(slot: number, connection: Connection): void {
    connection.close();
    this.#slots[slot] = undefined;
  }
}
