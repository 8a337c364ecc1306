import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { testCertificates } from "@cloister/model-server/testing";
import type { Backend } from "../gateway.ts";

const LOOPBACK = "127.0.0.1";

export interface TestBackend extends Backend {
  close(): void;
}

/** A server that greets with its name and echoes. With `tls`, behind a certificate of its own. */
export async function startEchoBackend(id: string, { tls = false } = {}): Promise<TestBackend> {
  const open = new Set<Socket>();
  const greet = (socket: Socket): void => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.write(`${id}\n`);
    socket.pipe(socket);
  };
  const server = tls ? createTlsServer(testCertificates().server, greet) : createServer(greet);
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  return {
    id,
    host: LOOPBACK,
    port: (server.address() as { port: number }).port,
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
