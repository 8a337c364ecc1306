import { callError } from "../errors.ts";
import type { Http2Connection } from "./http2/connection.ts";

/** What becomes of connections that are old, unused or silent; gRPC's own meaning of each. Milliseconds; absent: for ever. */
export interface ConnectionCare {
  /** An older connection gets a GOAWAY: its client connects anew, perhaps to another replica. */
  readonly maxAgeMs?: number;
  /** What runs on it then may go on for so long. */
  readonly maxAgeGraceMs?: number;
  /** A connection without calls for so long gets a GOAWAY. */
  readonly maxIdleMs?: number;
  /** How often a connection is pinged. */
  readonly keepaliveMs?: number;
  /** One that does not answer a ping in time is cut off. */
  readonly keepaliveTimeoutMs?: number;
}

const DEFAULT_KEEPALIVE_TIMEOUT_MS = 20_000;
/** Ages differ by this part, so that not all clients connect anew at once. */
const AGE_SPREAD = 0.1;

/** The `--grpc_channel_arguments` that mean something here: name to the option's. */
const CARE_ARGUMENTS: Readonly<Record<string, keyof ConnectionCare>> = {
  "grpc.max_connection_age_ms": "maxAgeMs",
  "grpc.max_connection_age_grace_ms": "maxAgeGraceMs",
  "grpc.max_connection_idle_ms": "maxIdleMs",
  "grpc.keepalive_time_ms": "keepaliveMs",
  "grpc.keepalive_timeout_ms": "keepaliveTimeoutMs",
};

export interface ChannelArguments {
  readonly care: ConnectionCare;
  readonly maxMessageBytes?: number;
  readonly maxStreams?: number;
  /** Names that have no effect here. */
  readonly ignored: readonly string[];
}

/** Reads `--grpc_channel_arguments`: `key=value,…`. Throws INVALID_ARGUMENT. */
export function readChannelArguments(text: string): ChannelArguments {
  const care: Partial<Record<keyof ConnectionCare, number>> = {};
  const ignored: string[] = [];
  let maxMessageBytes: number | undefined;
  let maxStreams: number | undefined;
  for (const argument of text.split(",").filter((part) => part !== "")) {
    const [name = "", value = "", ...more] = argument.split("=");
    if (name === "" || value === "" || more.length > 0) {
      throw callError("INVALID_ARGUMENT", "channel arguments are written as key=value, with commas between them");
    }
    const option = CARE_ARGUMENTS[name];
    if (option !== undefined) care[option] = wholeNumber(name, value);
    else if (name === "grpc.max_receive_message_length") maxMessageBytes = wholeNumber(name, value);
    else if (name === "grpc.max_concurrent_streams") maxStreams = wholeNumber(name, value);
    else ignored.push(name);
  }
  return {
    care,
    ...(maxMessageBytes !== undefined && { maxMessageBytes }),
    ...(maxStreams !== undefined && { maxStreams }),
    ignored,
  };
}

function wholeNumber(name: string, value: string): number {
  const number = value === "-1" ? Number.MAX_SAFE_INTEGER : Number(value);
  if (Number.isSafeInteger(number) && number > 0) return Math.min(number, 2 ** 31 - 1);
  throw callError("INVALID_ARGUMENT", `${name} is a whole number from 1 on, or -1 for no limit`);
}

/** Watches one connection until it is closed. */
export function careFor(connection: Http2Connection, care: ConnectionCare): void {
  const timers: NodeJS.Timeout[] = [];
  if (care.maxAgeMs !== undefined) timers.push(retire(connection, care.maxAgeMs, care.maxAgeGraceMs));
  if (care.maxIdleMs !== undefined) closeWhenIdle(connection, care.maxIdleMs, timers);
  if (care.keepaliveMs !== undefined) {
    timers.push(ping(connection, care.keepaliveMs, care.keepaliveTimeoutMs ?? DEFAULT_KEEPALIVE_TIMEOUT_MS));
  }
  connection.onClosed(() => {
    for (const timer of timers) clearTimeout(timer);
  });
}

function retire(connection: Http2Connection, maxAgeMs: number, graceMs: number | undefined): NodeJS.Timeout {
  return setTimeout(
    () => {
      connection.close();
      if (graceMs === undefined) return;
      const cutOff = setTimeout(() => connection.destroy(), graceMs).unref();
      connection.onClosed(() => clearTimeout(cutOff));
    },
    maxAgeMs * (1 + AGE_SPREAD * (2 * Math.random() - 1)),
  ).unref();
}

function closeWhenIdle(connection: Http2Connection, maxIdleMs: number, timers: NodeJS.Timeout[]): void {
  let running = 0;
  const timer = setTimeout(() => {
    if (running === 0) connection.close();
  }, maxIdleMs).unref();
  timers.push(timer);
  connection.onStreamCount((count) => {
    running = count;
    if (running === 0 && !connection.isClosing) timer.refresh();
  });
}

function ping(connection: Http2Connection, everyMs: number, timeoutMs: number): NodeJS.Timeout {
  return setInterval(() => {
    const cutOff = setTimeout(() => connection.destroy(), timeoutMs).unref();
    const isSent = connection.ping(() => clearTimeout(cutOff));
    if (!isSent) clearTimeout(cutOff);
  }, everyMs).unref();
}
