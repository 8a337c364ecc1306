import type { AddressInfo, Server } from "node:net";
import { BrokerError } from "./broker-error.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Starts listening, and gives the address with its true port: 0 is any free one. Throws LISTEN_FAILED. */
export async function listenAt(server: Server, { host, port }: Address): Promise<Address> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "an error";
    throw new BrokerError(
      "LISTEN_FAILED",
      {
        what: `the broker cannot listen on ${host}:${port}`,
        why: `the system says ${code}`,
        remedy: "choose an address of this machine and a free port, or stop what uses it",
      },
      { cause },
    );
  } finally {
    server.off("error", reject);
  }
  return { host, port: (server.address() as AddressInfo).port };
}
