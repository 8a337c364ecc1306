import { lookup } from "node:dns/promises";
import { callFailed } from "../errors.ts";
import type { Address, ChannelOptions } from "./options.ts";

/** Every IP address that the system's resolver has for a name, in its order. */
export async function allAddresses(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/**
 * Gives out the addresses of a service in turn, one for each new connection. With `resolve`, a name stands for all addresses behind it
 * and is asked for again each time, so that replicas which came later are found.
 */
export class AddressBook {
  readonly #named: readonly Address[];
  readonly #resolve: ChannelOptions["resolve"];
  #given = 0;

  constructor({ address, moreAddresses = [], resolve }: Pick<ChannelOptions, "address" | "moreAddresses" | "resolve">) {
    this.#named = [address, ...moreAddresses];
    this.#resolve = resolve;
  }

  /** Where to connect, and the name that its certificate has to carry. Throws UNAVAILABLE where a name has no address. */
  async next(): Promise<{ readonly address: Address; readonly serverName: string }> {
    const turn = this.#given++;
    const candidates = this.#resolve === undefined ? this.#named.map(asItIs) : await this.#resolved(this.#resolve);
    const chosen = candidates[turn % candidates.length];
    if (chosen === undefined) throw callFailed("UNAVAILABLE", "the server's name has no address");
    return chosen;
  }

  async #resolved(resolve: NonNullable<ChannelOptions["resolve"]>): Promise<ReturnType<typeof asItIs>[]> {
    try {
      const found = await Promise.all(this.#named.map(async (named) => ({ named, hosts: await resolve(named.host) })));
      return found.flatMap(({ named, hosts }) =>
        hosts.map((host) => ({ address: { host, port: named.port }, serverName: named.host })),
      );
    } catch (cause) {
      throw callFailed("UNAVAILABLE", "the server's name cannot be resolved", { cause });
    }
  }
}

function asItIs(address: Address): { readonly address: Address; readonly serverName: string } {
  return { address, serverName: address.host };
}
