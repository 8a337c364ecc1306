import type { Socket } from "node:net";
import { readClientHello } from "./client-hello.ts";
import { readProxyHeader } from "./proxy-protocol.ts";

/** Longer than any honest client needs for its first flight; a silent socket holds a place for so long. */
const PREAMBLE_TIMEOUT_MS = 10_000;

/** What a connection says before it is passed on. */
export interface Preamble {
  /** False where the bytes are no PROXY header or ClientHello, stop too early or come too late. */
  readonly isValid: boolean;
  /** The client's address as a balancer in front told it. */
  readonly client?: string;
  readonly serverName?: string;
  /** What was read and belongs to the backend. */
  readonly bytes: Buffer;
}

interface Wanted {
  readonly acceptProxyProtocol: boolean;
  readonly wantsServerName: boolean;
}

const EMPTY = Buffer.alloc(0);
const INVALID: Preamble = { isValid: false, bytes: EMPTY };

/** Reads as much of a paused connection as the routes need, which is nothing where there is one route for all. Leaves it paused. */
export function readPreamble(socket: Socket, wanted: Wanted): Promise<Preamble> {
  if (!wanted.acceptProxyProtocol && !wanted.wantsServerName) return Promise.resolve({ isValid: true, bytes: EMPTY });
  return new Promise((resolve) => {
    let seen: Buffer = EMPTY;
    const give = (preamble: Preamble): void => {
      clearTimeout(timer);
      socket.pause();
      socket.off("data", onData).off("end", onEnd).off("close", onEnd);
      resolve(preamble);
    };
    const onData = (chunk: Buffer): void => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const preamble = parsePreamble(seen, wanted);
      if (preamble !== undefined) give(preamble);
    };
    const onEnd = (): void => give(INVALID);
    const timer = setTimeout(onEnd, PREAMBLE_TIMEOUT_MS);
    socket.on("data", onData).once("end", onEnd).once("close", onEnd);
    socket.resume();
  });
}

/** The preamble in the bytes that are there, or `undefined` where more are needed. The parsers bound how many that can be. */
function parsePreamble(seen: Buffer, wanted: Wanted): Preamble | undefined {
  let client: string | undefined;
  let bytes = seen;
  if (wanted.acceptProxyProtocol) {
    const header = readProxyHeader(seen);
    if (header.kind !== "header") return header.kind === "more" ? undefined : INVALID;
    client = header.client;
    bytes = seen.subarray(header.length);
  }
  const told = client === undefined ? {} : { client };
  if (!wanted.wantsServerName) return { isValid: true, ...told, bytes };
  const hello = readClientHello(bytes);
  if (hello.kind === "more") return undefined;
  if (hello.kind === "invalid") return INVALID;
  return { isValid: true, ...told, ...(hello.kind === "name" && { serverName: hello.serverName }), bytes };
}
