import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { createChannel, PredictClient } from "@cloister/client";
import { CLIENT_PREFACE, settingsFrame } from "@cloister/encoding/http2";
import { testCertificates } from "@cloister/model-server/testing";
import { ROOT } from "../support/chain.ts";
import { residentMiB } from "../support/resident-memory.ts";
import { spawnServe, writeSslConfig } from "../support/serve.ts";

const HALF = join(ROOT, "packages/saved-model/test-models/tfserving/saved_model_half_plus_two_2_versions");
/** The server's own limit. */
const LIMIT = 10_000;
/** Handshakes at a time. */
const LANES = 32;
/** A connection costs 60 to 100 KiB on both sides of TLS; twice that is a leak. */
const MAX_RESIDENT_MIB = 2048;

test("ten thousand TLS connections are held in bounded memory, more are turned away, and those that are open are served", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-connections-"));
  const { ca, server } = testCertificates();
  const ssl = await writeSslConfig(folder, server);
  const flags = ["--port=0", "--host=127.0.0.1", "--model_name=half", `--model_base_path=${HALF}`];
  const serve = await spawnServe(folder, [...flags, `--ssl_config_file=${ssl}`]);
  const { pid } = serve.process;
  assert.ok(pid !== undefined);
  const address = { host: "127.0.0.1", port: serve.port };
  const channel = createChannel({ address, tls: { ca, serverName: "server.test" } });
  const sockets: TLSSocket[] = [];
  const open = async (): Promise<boolean> => {
    const socket = connect({ ...address, ca, servername: "server.test", ALPNProtocols: ["h2"] });
    socket.on("error", () => undefined);
    const isOpen = await Promise.race([
      once(socket, "secureConnect").then(
        () => true,
        () => false,
      ),
      once(socket, "close").then(
        () => false,
        () => false,
      ),
    ]);
    if (isOpen) {
      // A connection that does not begin is cut off after a minute, which opening them all may take.
      socket.write(Buffer.concat([Buffer.from(CLIENT_PREFACE), settingsFrame([])]));
      sockets.push(socket);
    }
    return isOpen;
  };
  try {
    const client = new PredictClient(channel);
    const ask = async (): Promise<void> => {
      const inputs = new Map([["x", { dtype: "float", shape: [1], data: Float32Array.of(2) } as const]]);
      const { outputs } = await client.predict({ model: "half", inputs });
      assert.deepEqual([...(outputs.get("y")?.data ?? [])], [3]);
    };
    await ask();
    let left = LIMIT - 1;
    const lane = async (): Promise<void> => {
      while (left-- > 0) assert.equal(await open(), true);
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    await ask();
    assert.ok((await residentMiB(pid)) < MAX_RESIDENT_MIB);
    assert.equal(await open(), false);
    await ask();
    for (const socket of sockets.splice(0)) socket.destroy();
    await ask();
  } finally {
    for (const socket of sockets) socket.destroy();
    await channel.close();
    serve.process.kill("SIGTERM");
    await once(serve.process, "exit");
    await rm(folder, { recursive: true });
  }
});
