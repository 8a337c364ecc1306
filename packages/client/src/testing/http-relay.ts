import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** What a relay does to an answer on its way, by the path of its request. */
export type Tamper = (path: string, answer: Buffer, request: Buffer) => Buffer | Promise<Buffer>;

/** Whoever ends the TLS connection in the replica's place: sees every HTTP message, and may change the answers. */
export interface HttpRelay {
  readonly url: string;
  /** Bodies of requests by their path. */
  readonly requests: { readonly path: string; readonly body: Buffer }[];
  /** Bodies of answers, as the replica gave them. */
  readonly answers: Buffer[];
  close(): Promise<void>;
}

/** For tests: a relay to a REST listener in plaintext. */
export async function startHttpRelay(port: number, tamper: Tamper = (_path, answer) => answer): Promise<HttpRelay> {
  const requests: HttpRelay["requests"] = [];
  const answers: Buffer[] = [];
  const server = createServer((request, response) => {
    const relay = async (): Promise<void> => {
      const path = request.url ?? "";
      const body = await wholeBody(request);
      requests.push({ path, body });
      const upstream = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body });
      const answer = Buffer.from(await upstream.arrayBuffer());
      answers.push(answer);
      response.writeHead(upstream.status).end(await tamper(path, answer, body));
    };
    relay().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function wholeBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
