import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

const MAIN = join(import.meta.dirname, "main.ts");
const run = promisify(execFile);
let folder: string;
let server: Server;
let url: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cloister-deliver-"));
  await mkdir(join(folder, "sealed/variables"), { recursive: true });
  await writeFile(join(folder, "sealed/saved_model.pb"), "ciphertext");
  await writeFile(join(folder, "sealed/variables/variables.index"), "more");
  await run("tar", ["-C", join(folder, "sealed"), "-cf", join(folder, "1.tar"), "."]);
  const archive = await readFile(join(folder, "1.tar"));
  server = createServer((request, response) => {
    if (request.url?.startsWith("/1.tar") === true) response.end(archive);
    else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
after(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

test("an archive becomes the folder that a replica reads, again after a restart", async () => {
  const target = join(folder, "models/digits/1");
  for (let round = 0; round < 2; round++) {
    await run(process.execPath, [MAIN, `${url}/1.tar?signature=secret`, target]);
    assert.equal(await readFile(join(target, "saved_model.pb"), "utf8"), "ciphertext");
    assert.equal(await readFile(join(target, "variables/variables.index"), "utf8"), "more");
  }
});

test("what is not there leaves nothing behind, ends with 1, and its URL is not told", async () => {
  const target = join(folder, "models/other/1");
  await assert.rejects(run(process.execPath, [MAIN, `${url}/2.tar?signature=secret`, target]), (error) => {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return code === 1 && !`${stdout}${stderr}`.includes("secret");
  });
  await assert.rejects(readdir(target), { code: "ENOENT" });
});

test("two arguments are needed", async () => {
  await assert.rejects(run(process.execPath, [MAIN, url]), { code: 2 });
});
