import type { Socket } from "node:net";
import { Transform } from "node:stream";
import type { GatewayLimits } from "./gateway.ts";

/** Passes bytes both ways until either side closes or nothing has moved for the idle time. */
export function joinSockets(
  client: Socket,
  upstream: Socket,
  limits: Pick<GatewayLimits, "uploadBytesPerSecond" | "idleTimeoutSeconds">,
): void {
  client.once("close", () => upstream.destroy());
  upstream.once("close", () => client.destroy());
  if (client.destroyed) upstream.destroy();
  // Each of the two sees the bytes of both directions, so one timer serves.
  client.setTimeout(limits.idleTimeoutSeconds * 1000, () => client.destroy());
  upstream.pipe(client);
  if (limits.uploadBytesPerSecond === undefined) client.pipe(upstream);
  else client.pipe(throttle(limits.uploadBytesPerSecond)).pipe(upstream);
}

/** Lets bytes through at a rate; its back-pressure reaches the client. */
function throttle(bytesPerSecond: number): Transform {
  let freeAt = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const now = performance.now();
      freeAt = Math.max(now, freeAt) + (chunk.length / bytesPerSecond) * 1000;
      setTimeout(() => done(null, chunk), freeAt - now);
    },
  });
}
