import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { run } from "../../program.ts";

const MAIN = join(import.meta.dirname, "../../main.ts");
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cloister-gateway-"));
});
after(() => rm(folder, { recursive: true }));

test("render writes an nginx configuration for services by name", async () => {
  const output = join(folder, "nginx.conf");
  const services = ["--service", "a.example.com=replica-1:8500,replica-2:8500", "--service", "[::1]:9000"];
  assert.equal(await run(["gateway", "render", "--listen", "[::]:443", ...services, "--output", output]), 0);
  const config = await readFile(output, "utf8");
  assert.match(config, /listen \[::\]:443;/);
  assert.match(config, /default route_1;\n *a\.example\.com route_0;/);
  assert.match(config, /server replica-1:8500 .*\n *server replica-2:8500 /);
});

for (const [why, args, code] of [
  ["no service", [], 1],
  ["a name that would end a line", ["--service", "a;b=host:1"], 1],
  ["a backend without a port", ["--service", "host"], 1],
  ["an empty backend", ["--service", "a.example.com="], 2],
  ["a limit that is no number", ["--service", "host:1", "--max-connections", "many"], 2],
] as const) {
  test(`render fails with ${code} for ${why}`, async () => {
    assert.equal(await run(["gateway", "render", "--config", await emptyConfig(), ...args]), code);
  });
}

async function emptyConfig(): Promise<string> {
  const path = join(folder, "empty.yaml");
  await writeFile(path, "");
  return path;
}

test("run passes connections on, follows its configuration, and logs connections without their content", async () => {
  const [first, second] = [await startNamed("first"), await startNamed("second")];
  const config = join(folder, "cloister.yaml");
  const log = join(folder, "access.log");
  const write = (port: number): Promise<void> =>
    writeFile(config, `gateway:\n  services:\n    - backends: ["127.0.0.1:${port}"]\n`);
  await write(first.port);
  const args = ["--kind", "built-in", "--listen", "127.0.0.1:0", "--config", config, "--access-log", log, "--json"];
  const child = spawn(process.execPath, [MAIN, "gateway", "run", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  try {
    let port: number | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      const told = JSON.parse(line) as { event: string; address?: { port: number }; text?: string };
      port ??= told.address?.port;
      if (told.event === "listening") {
        assert.equal(await greeting(port), "first");
        await write(second.port);
      }
      if (told.event === "config_applied") break;
    }
    assert.equal(await greeting(port), "second");
  } finally {
    child.kill("SIGTERM");
    first.close();
    second.close();
  }
  assert.equal((await exited)[0], 0);
  const records = (await readFile(log, "utf8")).trim().split("\n");
  assert.ok(records.length >= 2);
  for (const record of records) assert.doesNotMatch(record, /secret-payload/);
});

/** A server that says its name to everyone. */
async function startNamed(name: string): Promise<{ port: number; close: () => void }> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(name));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}

async function greeting(port: number | undefined): Promise<string> {
  const socket = connect({ port: port ?? 0, host: "127.0.0.1" });
  socket.on("error", () => socket.destroy());
  socket.write("secret-payload");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
