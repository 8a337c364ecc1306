import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, test } from "node:test";
import { DeployError } from "../errors.ts";
import type { Backend, ConnectionRecord, Gateway } from "./gateway.ts";
import { startPassthrough } from "./passthrough.ts";
import { describeGateway } from "./testing/behaviour.ts";
import { startEchoBackend } from "./testing/echo-backend.ts";

const LOOPBACK = "127.0.0.1";

describeGateway("the built-in gateway, as any gateway", async (limits) => {
  const ended: ConnectionRecord[] = [];
  const onConnectionEnd = (record: ConnectionRecord): number => ended.push(record);
  const gateway = await startPassthrough({ host: LOOPBACK, port: 0, limits, onConnectionEnd });
  return { gateway, records: async () => ended };
});

describe("the built-in gateway", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const task of cleanup.splice(0).reverse()) await task();
  });

  async function startBackend(id: string): Promise<Backend> {
    const backend = await startEchoBackend(id);
    cleanup.push(async () => backend.close());
    return backend;
  }

  async function startGateway(...backends: Backend[]): Promise<Gateway> {
    const gateway = await startPassthrough({ host: LOOPBACK, port: 0 });
    await gateway.setRoutes([{ serverName: "*", backends }]);
    cleanup.push(() => gateway.close());
    return gateway;
  }

  /** Connects and returns the greeting of the backend, or undefined when the gateway closed the connection. */
  async function dial({ address }: Gateway): Promise<{ greeting: string | undefined; socket: Socket }> {
    const socket = connect(address);
    socket.on("error", () => socket.destroy());
    const first = await Promise.race([once(socket, "data"), once(socket, "close")]);
    return { greeting: first[0] instanceof Buffer ? first[0].toString().trim() : undefined, socket };
  }

  test("spreads open connections evenly", async () => {
    const gateway = await startGateway(await startBackend("a"), await startBackend("b"));
    const greetings: (string | undefined)[] = [];
    for (let count = 0; count < 6; count++) greetings.push((await dial(gateway)).greeting);
    assert.deepEqual(
      greetings.toSorted((a, b) => (a ?? "").localeCompare(b ?? "")),
      ["a", "a", "a", "b", "b", "b"],
    );
  });

  test("passes bytes through unchanged in both directions", async () => {
    const gateway = await startGateway(await startBackend("a"));
    const { socket } = await dial(gateway);
    const sent = Buffer.from([0, 255, 22, 3, 1]);
    socket.write(sent);
    assert.deepEqual((await once(socket, "data"))[0], sent);
  });

  test("skips a backend that does not take the connection", async () => {
    const gone = { id: "gone", host: LOOPBACK, port: 1 };
    const gateway = await startGateway(gone, await startBackend("a"));
    for (let count = 0; count < 4; count++) assert.equal((await dial(gateway)).greeting, "a");
  });

  test("sends new connections to new backends only", async () => {
    const [a, b] = [await startBackend("a"), await startBackend("b")];
    const gateway = await startGateway(a);
    assert.equal((await dial(gateway)).greeting, "a");
    await gateway.setRoutes([{ serverName: "*", backends: [b] }]);
    assert.equal((await dial(gateway)).greeting, "b");
  });

  test("closes the connection where there is no backend at all", async () => {
    assert.equal((await dial(await startGateway())).greeting, undefined);
  });

  test("says so when its port is taken", async () => {
    const gateway = await startGateway();
    await assert.rejects(
      startPassthrough({ host: LOOPBACK, port: gateway.address.port }),
      (error) => error instanceof DeployError && error.code === "PORT_IN_USE",
    );
  });
});
