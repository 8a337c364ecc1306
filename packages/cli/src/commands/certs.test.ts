import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EXIT } from "../output/exit-code.ts";
import { run } from "../program.ts";

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "certs-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

/** What a command writes to standard output. */
async function outputOf(t: TestContext, args: readonly string[]): Promise<{ code: number; text: string }> {
  let text = "";
  const { mock } = t.mock.method(process.stdout, "write", (chunk: string) => {
    text += chunk;
    return true;
  });
  const code = await run(args);
  mock.restore();
  return { code, text };
}

test("mutual makes server, clients and ssl.cfg, keys for their owner only and never on the terminal", async (t) => {
  const folder = join(await folderOf(t), "ssl");
  const args = ["certs", "mutual", "grpc.test", "other.test", "--client", "alice", "bob", "--output", folder];
  const { code, text } = await outputOf(t, args);
  assert.equal(code, EXIT.done);
  assert.ok(!text.includes("PRIVATE KEY"));
  const read = (path: string): Promise<string> => readFile(join(folder, path), "utf8");
  const authority = new X509Certificate(await read("ca_cert.pem"));
  const server = new X509Certificate(await read("server/cert.pem"));
  assert.equal(server.subjectAltName, "DNS:grpc.test, DNS:other.test");
  assert.ok(server.verify(authority.publicKey));
  assert.deepEqual(server.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  const clients = [await read("client/alice/cert.pem"), await read("client/bob/cert.pem")];
  const serials = [server, ...clients.map((pem) => new X509Certificate(pem))].map(({ serialNumber }) => serialNumber);
  assert.equal(new Set(serials).size, 3);
  const config = await read("server/ssl.cfg");
  assert.match(config, /^server_key: "-----BEGIN PRIVATE KEY-----\\n/);
  assert.match(config, /^client_verify: true$/m);
  for (const path of ["owner/ca_key.pem", "server/key.pem", "server/ssl.cfg", "client/alice/key.pem"]) {
    assert.equal((await stat(join(folder, path))).mode & 0o777, 0o600);
  }
});

test("one-way makes no client, and keys that are there are not overwritten", async (t) => {
  const folder = join(await folderOf(t), "ssl");
  const { code } = await outputOf(t, ["certs", "one-way", "grpc.test", "--output", folder, "--key", "rsa3072"]);
  assert.equal(code, EXIT.done);
  assert.match(await readFile(join(folder, "server/ssl.cfg"), "utf8"), /custom_ca: ""\nclient_verify: false\n$/);
  const before = await readFile(join(folder, "server/key.pem"), "utf8");
  const again = await outputOf(t, ["certs", "one-way", "grpc.test", "--output", folder, "--json"]);
  assert.equal(again.code, EXIT.refused);
  assert.ok(again.text.includes("FOLDER_NOT_EMPTY"));
  assert.equal(await readFile(join(folder, "server/key.pem"), "utf8"), before);
});

test("a name that is refused leaves no folder behind", async (t) => {
  const folder = join(await folderOf(t), "ssl");
  const { code, text } = await outputOf(t, ["certs", "one-way", "no name", "--output", folder, "--json"]);
  assert.equal(code, EXIT.refused);
  assert.ok(text.includes("CERTIFICATE_FIELDS_INVALID"));
  await assert.rejects(stat(folder), { code: "ENOENT" });
});
