import type { AddressInfo, ListenOptions, Server } from "node:net";
import { ModelServerError } from "../errors.ts";

/** A place to listen: port 0 is any free one. */
export type ListenAt = { readonly host: string; readonly port: number } | { readonly socketPath: string };

/** Listens, and gives the place with its true port; a Unix socket has its path for a host, and port 0. Throws LISTEN_FAILED. */
export async function listenAt(
  server: Pick<Server, "once" | "off" | "on" | "address"> & {
    listen(options: ListenOptions, listening: () => void): unknown;
  },
  where: ListenAt,
): Promise<{ host: string; port: number }> {
  const isSocket = "socketPath" in where;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(isSocket ? { path: where.socketPath } : { host: where.host, port: where.port }, resolve);
  try {
    await promise;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "an error";
    throw new ModelServerError(
      "LISTEN_FAILED",
      {
        what: `the server cannot listen on ${isSocket ? where.socketPath : `${where.host}:${where.port}`}`,
        why: `the system says ${code}`,
        remedy: "choose an address of this machine and a free port, or stop what uses it",
      },
      { cause },
    );
  } finally {
    server.off("error", reject);
  }
  server.on("error", () => undefined);
  if (isSocket) return { host: where.socketPath, port: 0 };
  return { host: where.host, port: (server.address() as AddressInfo).port };
}
