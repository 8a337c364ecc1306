import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { LIBRARY_FILES } from "./c-api.ts";
import { findLibrary, installFolder, requireLibrary } from "./find-library.ts";
import { installTensorFlow } from "./install.ts";

const CONTENT = { framework: Buffer.alloc(70_000, "framework "), main: Buffer.alloc(300_000, "main ") };

interface ZipFile {
  readonly name: string;
  readonly content: Buffer;
  readonly isStored?: boolean;
}

/** An archive as `jar` writes it. */
function zip(files: readonly ZipFile[]): Buffer {
  const [bodies, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const { name, content, isStored } of files) {
    const packed = isStored === true ? content : deflateRawSync(content);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(isStored === true ? 0 : 8, 4);
    fields.writeUInt32LE(crc32(content), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), fields, tail, Buffer.from(name)]));
    bodies.push(local);
    offset += local.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.length, 4);
  end.writeUInt16LE(files.length, 6);
  end.writeUInt32LE(entries.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...bodies, entries, Buffer.from("PK\x05\x06"), end]);
}

const JAR = zip([
  { name: "META-INF/MANIFEST.MF", content: Buffer.from("Manifest-Version: 1.0\n") },
  { name: `native/${LIBRARY_FILES[0]}`, content: CONTENT.framework },
  { name: `native/${LIBRARY_FILES[1]}`, content: CONTENT.main, isStored: true },
]);

describe("installing TensorFlow's library", () => {
  let root = "";
  let server: Server;
  let url = "";
  let folder = "";
  let requests = 0;
  let jar: Buffer = JAR;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), "cloister-install-"));
    server = createServer((request, response) => {
      requests++;
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { "content-length": jar.length - from }).end(jar.subarray(from));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tensorflow.jar`;
  });
  after(async () => {
    server.close();
    await rm(root, { recursive: true });
  });
  beforeEach(async () => {
    folder = join(await mkdtemp(join(root, "case-")), "engines/tensorflow");
    requests = 0;
    jar = JAR;
  });

  const install = (sha256 = createHash("sha256").update(jar).digest("hex")) =>
    installTensorFlow({ folder, allowHttp: true, build: { url, sha256, folder: "native" } });

  it("unpacks both files and leaves nothing else behind", async () => {
    assert.equal((await install()).wasThere, false);
    assert.deepEqual(await readFile(join(folder, LIBRARY_FILES[0])), CONTENT.framework);
    assert.deepEqual(await readFile(join(folder, LIBRARY_FILES[1])), CONTENT.main);
    assert.deepEqual(await readdir(dirname(folder)), ["tensorflow"]);
  });

  it("fetches nothing where the library is there", async () => {
    await install();
    assert.equal((await install()).wasThere, true);
    assert.equal(requests, 1);
  });

  it("goes on with an interrupted download", async () => {
    await mkdir(dirname(folder), { recursive: true });
    await writeFile(`${folder}.jar.part`, JAR.subarray(0, 1000));
    await install();
    assert.deepEqual(await readFile(join(folder, LIBRARY_FILES[1])), CONTENT.main);
  });

  it("refuses another digest than the pinned one, and keeps nothing", async () => {
    await assert.rejects(install("00".repeat(32)), { code: "DOWNLOAD_DIGEST" });
    assert.deepEqual(await readdir(dirname(folder)), []);
  });

  it("installs nothing out of an archive that is cut off or lacks a file", async () => {
    jar = JAR.subarray(0, -40);
    await assert.rejects(install(), { code: "INSTALL_FAILED" });
    jar = zip([{ name: `native/${LIBRARY_FILES[0]}`, content: CONTENT.framework }]);
    await assert.rejects(install(), { code: "INSTALL_FAILED" });
    assert.ok(!(await readdir(dirname(folder))).includes("tensorflow"));
  });
});

describe("finding TensorFlow's library", () => {
  let root = "";
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "cloister-find-"));
  });
  after(() => rm(root, { recursive: true }));

  async function place(folder: string): Promise<string> {
    await mkdir(folder, { recursive: true });
    for (const file of LIBRARY_FILES) await writeFile(join(folder, file), "");
    return folder;
  }

  it("prefers the named folder to the installed one, and that to a wheel", async () => {
    const environment = { XDG_DATA_HOME: join(root, "data"), VIRTUAL_ENV: join(root, "venv") };
    const wheel = await place(join(root, "venv/lib/python3.11/site-packages/tensorflow"));
    assert.equal(await findLibrary(environment), wheel);
    const installed = await place(installFolder(environment));
    assert.equal(await findLibrary(environment), installed);
    const named = await place(join(root, "named"));
    assert.equal(await findLibrary({ ...environment, CLOISTER_TENSORFLOW: named }), named);
  });

  it("takes nothing else where the named folder lacks the library", async () => {
    await assert.rejects(requireLibrary({ CLOISTER_TENSORFLOW: join(root, "none") }), { code: "ENGINE_MISSING" });
  });
});
