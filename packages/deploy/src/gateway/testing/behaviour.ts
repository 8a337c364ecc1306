import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type ConnectionRecord, DEFAULT_LIMITS, type Gateway, type GatewayLimits } from "../gateway.ts";
import { startEchoBackend, type TestBackend } from "./echo-backend.ts";

/** Opens the gateway under test. `records` gives the connections that ended so far. */
export type OpenForTest = (
  limits: GatewayLimits,
) => Promise<{ gateway: Gateway; records: () => Promise<readonly Partial<ConnectionRecord>[]> }>;

interface Greeting {
  readonly greeting: string | undefined;
  readonly socket: TLSSocket;
}

const WAIT_MS = 10_000;

/** What holds for every gateway, whichever program it is. */
export function describeGateway(name: string, open: OpenForTest): void {
  describe(name, () => {
    const cleanup: (() => unknown)[] = [];
    afterEach(async () => {
      for (const task of cleanup.splice(0).reverse()) await task();
    });

    async function backend(id: string): Promise<TestBackend> {
      const started = await startEchoBackend(id, { tls: true });
      cleanup.push(() => started.close());
      return started;
    }

    async function start(limits: Partial<GatewayLimits> = {}): ReturnType<OpenForTest> {
      const opened = await open({ ...DEFAULT_LIMITS, ...limits });
      cleanup.push(() => opened.gateway.close());
      return opened;
    }

    /** The greeting that a TLS client gets for a server name, with its connection; undefined where it is dropped. */
    async function dial({ address }: Gateway, servername: string, preamble?: string): Promise<Greeting> {
      const raw = connect(address);
      raw.on("error", () => raw.destroy());
      cleanup.push(() => raw.destroy());
      await once(raw, "connect");
      if (preamble !== undefined) raw.write(preamble);
      const socket = connectTls({ socket: raw, servername, rejectUnauthorized: false });
      socket.on("error", () => socket.destroy());
      const greeting = await new Promise<string | undefined>((resolve) => {
        socket
          .once("data", (bytes: Buffer) => resolve(bytes.toString().trim()))
          .once("close", () => resolve(undefined));
      });
      return { greeting, socket };
    }

    /** New routes take effect a moment after they are set where another program has to read them. */
    async function dialUntil(gateway: Gateway, servername: string, expected: string | undefined): Promise<Greeting> {
      for (const endsAt = Date.now() + WAIT_MS; ;) {
        const dialled = await dial(gateway, servername);
        if (dialled.greeting === expected || Date.now() > endsAt) return dialled;
        dialled.socket.destroy();
      }
    }

    test("routes by server name, exact before wildcard, and drops a name of no service", async () => {
      const { gateway, records } = await start();
      await gateway.setRoutes([
        { serverName: "a.example.com", backends: [await backend("a")] },
        { serverName: "*.example.com", backends: [await backend("wild")] },
      ]);
      const { greeting, socket } = await dialUntil(gateway, "a.example.com", "a");
      assert.equal(greeting, "a");
      socket.destroy();
      assert.equal((await dialUntil(gateway, "b.example.com", "wild")).greeting, "wild");
      assert.equal((await dialUntil(gateway, "c.b.example.com", "wild")).greeting, "wild");
      assert.equal((await dial(gateway, "example.com")).greeting, undefined);
      await eventually(records, ({ serverName, backend: to }) => serverName === "a.example.com" && to !== "");
      const afterAStranger = async () => {
        assert.equal((await dial(gateway, "a.example.org")).greeting, undefined);
        return records();
      };
      // A program that just took new routes may drop the first stranger by the routes before, without a look at the name.
      await eventually(afterAStranger, ({ serverName }) => serverName === "a.example.org");
    });

    test("keeps open connections when routes change", async () => {
      const { gateway } = await start();
      await gateway.setRoutes([{ serverName: "*", backends: [await backend("old")] }]);
      const { socket, greeting } = await dialUntil(gateway, "x.example.com", "old");
      assert.equal(greeting, "old");
      await gateway.setRoutes([{ serverName: "*", backends: [await backend("new")] }]);
      assert.equal((await dialUntil(gateway, "x.example.com", "new")).greeting, "new");
      socket.write("still here");
      assert.equal(String((await once(socket, "data"))[0]), "still here");
    });

    test("takes changes that come at the same time, the last one last", async () => {
      const { gateway } = await start();
      const [old, next] = [await backend("old"), await backend("next")];
      const changes = [old, next].map((one) => gateway.setRoutes([{ serverName: "*", backends: [one] }]));
      await Promise.all(changes);
      assert.equal((await dialUntil(gateway, "x.example.com", "next")).greeting, "next");
    });

    test("shows the client the certificate of the backend", async () => {
      const { gateway } = await start();
      const own = await backend("a");
      await gateway.setRoutes([{ serverName: "*", backends: [own] }]);
      const { socket } = await dialUntil(gateway, "x.example.com", "a");
      const direct = connectTls({ host: own.host, port: own.port, rejectUnauthorized: false });
      cleanup.push(() => direct.destroy());
      await once(direct, "secureConnect");
      assert.equal(socket.getPeerX509Certificate()?.issuer, direct.getPeerX509Certificate()?.issuer);
    });

    test("holds a client address to its number of connections", async () => {
      const { gateway } = await start({ maxConnectionsPerAddress: 1 });
      await gateway.setRoutes([{ serverName: "*", backends: [await backend("a")] }]);
      const first = await dialUntil(gateway, "x.example.com", "a");
      assert.equal((await dial(gateway, "x.example.com")).greeting, undefined);
      first.socket.destroy();
      assert.equal((await dialUntil(gateway, "x.example.com", "a")).greeting, "a");
    });

    test("takes the client's address from a balancer in front", async () => {
      const { gateway, records } = await start({ acceptProxyProtocol: true });
      await gateway.setRoutes([{ serverName: "a.example.com", backends: [await backend("a")] }]);
      const preamble = "PROXY TCP4 192.0.2.77 192.0.2.1 5000 443\r\n";
      for (let tries = 0; tries < 200; tries++) {
        const { greeting, socket } = await dial(gateway, "a.example.com", preamble);
        socket.destroy();
        if (greeting === "a") break;
      }
      await eventually(records, ({ client, backend: to }) => client === "192.0.2.77" && to !== "");
    });

    test("tells backends the client's address where they expect it", async () => {
      const { gateway } = await start({ sendProxyProtocol: true });
      const plain = await startEchoBackend("plain");
      cleanup.push(() => plain.close());
      await gateway.setRoutes([{ serverName: "*", backends: [plain] }]);
      assert.match(await echoOf(gateway), /^plain\nPROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nhello/);
    });

    /** Waits for a record: it is written some time after its connection ended. */
    async function eventually(
      records: () => Promise<readonly Partial<ConnectionRecord>[]>,
      isWanted: (record: Partial<ConnectionRecord>) => boolean,
    ): Promise<void> {
      for (const endsAt = Date.now() + WAIT_MS; !(await records()).some(isWanted); await sleep(20)) {
        assert.ok(Date.now() < endsAt, "no such record");
      }
    }

    /** What comes back from a backend that echoes, after "hello" is sent. */
    async function echoOf({ address }: Gateway): Promise<string> {
      for (let tries = 0; ; tries++) {
        const socket = connect(address);
        socket.on("error", () => socket.destroy());
        cleanup.push(() => socket.destroy());
        socket.write("hello");
        const text = await new Promise<string>((resolve) => {
          let seen = "";
          socket.once("close", () => resolve(""));
          socket.on("data", (chunk: Buffer) => {
            seen += chunk.toString();
            if (seen.includes("hello")) resolve(seen);
          });
        });
        if (text !== "") return text;
        assert.ok(tries < 200, "no backend answered");
      }
    }
  });
}
