import { createServer, request as sendRequest, type ServerOptions } from "node:https";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** Changes the body of an answer on its way, by the path of its request. */
export type Tamper = (path: string, answer: Buffer) => Buffer | Promise<Buffer>;

/** An impostor with a certificate of its own: ends TLS, and hands on what it sees to a replica. */
export interface TlsRelay {
  readonly url: string;
  readonly paths: string[];
  /** Every body in both directions. */
  readonly seen: Buffer[];
  close(): Promise<void>;
}

export async function startTlsRelay(tls: ServerOptions, upstreamPort: number, tamper: Tamper): Promise<TlsRelay> {
  const paths: string[] = [];
  const seen: Buffer[] = [];
  const server = createServer(tls, (request, response) => {
    const relay = async (): Promise<void> => {
      const body = await bodyOf(request);
      const { method = "", url: path = "", headers } = request;
      if (method !== "OPTIONS") paths.push(path);
      const upstream = sendRequest({
        host: "127.0.0.1",
        port: upstreamPort,
        method,
        path,
        headers,
        rejectUnauthorized: false,
      });
      upstream.end(body);
      const answered = await new Promise<IncomingMessage>((resolve, reject) => {
        upstream.on("response", resolve).on("error", reject);
      });
      const answer = await bodyOf(answered);
      seen.push(body, answer);
      const changed = await tamper(path, answer);
      response.writeHead(answered.statusCode ?? 500, { ...answered.headers, "content-length": changed.length });
      response.end(changed);
    };
    relay().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    paths,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
