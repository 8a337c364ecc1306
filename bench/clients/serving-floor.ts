import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";

const MIB = 1024 * 1024;

/**
 * The least that a gRPC server over node:http2 can do: it drops the request's bytes and answers with a message made before. Its
 * windows and frames are those of our server. Gives its port.
 */
export async function startFloor(tls: { readonly key: string; readonly cert: string }, answer: Uint8Array) {
  const settings = { initialWindowSize: 4 * MIB, maxFrameSize: MIB };
  const server = createSecureServer({ ...tls, ALPNProtocols: ["h2"], maxSessionMemory: 64, settings });
  server.on("session", (session) => session.setLocalWindowSize(16 * MIB));
  server.on("connection", (socket: { setNoDelay(on: boolean): void }) => socket.setNoDelay(true));
  server.on("stream", (stream) => {
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.end(answer);
    });
    stream.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
