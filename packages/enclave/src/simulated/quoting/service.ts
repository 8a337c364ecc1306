import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { asBuffer } from "@cloister/encoding";
import { MAX_REQUEST_BYTES, type QuoteAnswer, QuoteRequest, type QuoteSource } from "./protocol.ts";

const REQUEST_TIMEOUT_MS = 5000;
const MAX_CONNECTIONS = 256;
/** Whoever can reach the socket may ask: the folder is mounted into those containers only that were given an enclave device. */
const SOCKET_MODE = 0o666;

export interface QuotingService {
  close(): Promise<void>;
}

/** The quoting service of a node with a SIMULATED platform, on a unix socket; one that was left behind is replaced. */
export async function startQuotingService(path: string, platform: QuoteSource): Promise<QuotingService> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  const server = createServer((socket) => void serve(socket, platform));
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, SOCKET_MODE);
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}

async function serve(socket: Socket, platform: QuoteSource): Promise<void> {
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  socket.on("error", () => undefined);
  let text = "";
  for await (const chunk of socket.setEncoding("latin1").iterator({ destroyOnReturn: false })) {
    text += chunk as string;
    if (text.includes("\n") || text.length > MAX_REQUEST_BYTES) break;
  }
  socket.end(`${JSON.stringify(await answer(text, platform))}\n`);
}

async function answer(text: string, platform: QuoteSource): Promise<QuoteAnswer> {
  const request = QuoteRequest.safeParse(text.length > MAX_REQUEST_BYTES ? undefined : parseJson(text));
  if (!request.success) return { error: "REQUEST_INVALID" };
  const { reportData, mrenclave, mrsigner, ...rest } = request.data;
  const quote = await platform.quote({
    ...rest,
    reportData: bytesOf(reportData),
    mrenclave: bytesOf(mrenclave),
    mrsigner: bytesOf(mrsigner),
  });
  return { quote: asBuffer(quote).toString("base64") };
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
