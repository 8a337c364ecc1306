import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A gateway that passes bytes through to one of several servers, in turn, and knows nothing of what they mean. */
export interface Passthrough {
  readonly port: number;
  /** Bytes that came from clients. */
  readonly received: () => Buffer;
  close(): Promise<void>;
}

/** For tests: new connections go to the ports in turn; a port that refuses closes the client's connection. */
export async function startPassthrough(ports: readonly number[]): Promise<Passthrough> {
  const sockets = new Set<Socket>();
  const chunks: Buffer[] = [];
  let next = 0;
  const server = createServer({ noDelay: true }, (client) => {
    const port = ports[next++ % ports.length] ?? 0;
    const upstream = connect({ port, host: "127.0.0.1", noDelay: true });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
    client.on("data", (chunk) => chunks.push(chunk));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    received: () => Buffer.concat(chunks),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
