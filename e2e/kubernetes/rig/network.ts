import { NETWORK } from "./layout.ts";
import { run } from "./process.ts";

/** The network namespaces of a cluster: one for the control plane and whoever tests, one for each node, joined by a bridge. */
export class ClusterNetwork {
  readonly controlPlane: string;
  readonly #names: string[] = [];

  private constructor(id: string) {
    this.controlPlane = `cloister-${id}`;
  }

  static async create(id: string): Promise<ClusterNetwork> {
    const network = new ClusterNetwork(id);
    await network.#add(network.controlPlane);
    await network.#ip(network.controlPlane, "link add nodes type bridge");
    await network.#ip(network.controlPlane, `addr add ${NETWORK.controlPlane}/24 dev nodes`);
    await network.#ip(network.controlPlane, "link set nodes up");
    return network;
  }

  /** Adds a node's namespace, and the routes to and from its pods. */
  async addNode(index: number, earlier: number): Promise<string> {
    const name = `${this.controlPlane}-n${index}`;
    await this.#add(name);
    await this.#ip(this.controlPlane, `link add node${index} type veth peer name eth0 netns ${name}`);
    await this.#ip(this.controlPlane, `link set node${index} master nodes up`);
    await this.#ip(name, `addr add ${NETWORK.nodeAddress(index)}/24 dev eth0`);
    await this.#ip(name, "link set eth0 up");
    // Without a default route a node cannot reach Service addresses.
    await this.#ip(name, `route add default via ${NETWORK.controlPlane}`);
    await this.#ip(this.controlPlane, `route add ${NETWORK.podPrefix(index)}.0/24 via ${NETWORK.nodeAddress(index)}`);
    for (let other = 0; other < earlier; other++) {
      const otherName = `${this.controlPlane}-n${other}`;
      await this.#ip(name, `route add ${NETWORK.podPrefix(other)}.0/24 via ${NETWORK.nodeAddress(other)}`);
      await this.#ip(otherName, `route add ${NETWORK.podPrefix(index)}.0/24 via ${NETWORK.nodeAddress(index)}`);
    }
    return name;
  }

  async remove(): Promise<void> {
    for (const name of this.#names.toReversed()) await run("ip", ["netns", "delete", name]);
  }

  async #add(name: string): Promise<void> {
    await run("ip", ["netns", "add", name]);
    this.#names.push(name);
    await this.#ip(name, "link set lo up");
    await run("nsenter", [`--net=${namespacePath(name)}`, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
  }

  async #ip(namespace: string, command: string): Promise<void> {
    await run("ip", ["-n", namespace, ...command.split(" ")]);
  }
}

export const namespacePath = (name: string): string => `/run/netns/${name}`;
