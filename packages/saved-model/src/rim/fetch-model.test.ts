import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { fetchModel } from "./fetch-model.ts";

const CONTENT = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) & 0xff));

describe("fetching a model", () => {
  const root = mkdtempSync(join(tmpdir(), "cloister-fetch-"));
  let server: Server;
  let base = "";
  let dir = "";
  let content = CONTENT;
  /** Bytes after which the server breaks the connection off. */
  let breakAfter: number | undefined;
  let ranges: (string | undefined)[] = [];

  before(async () => {
    server = createServer((request, response) => {
      ranges.push(request.headers.range);
      if (request.url === "/moved") {
        response.writeHead(302, { location: "/model.pb" }).end();
        return;
      }
      if (request.url !== "/model.pb") {
        response.writeHead(404).end();
        return;
      }
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (from >= content.length) {
        response.writeHead(416).end();
        return;
      }
      const body = content.subarray(from);
      response.writeHead(from > 0 ? 206 : 200, { "content-length": body.length });
      if (breakAfter === undefined) response.end(body);
      else response.write(body.subarray(0, breakAfter), () => setTimeout(() => response.destroy(), 20));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true, force: true });
  });
  beforeEach(() => {
    dir = mkdtempSync(join(root, "case-"));
    content = CONTENT;
    breakAfter = undefined;
    ranges = [];
  });

  const source = (path = "/model.pb") => ({ m: { url: base + path, inputs: ["input"], outputs: ["predict"] } });
  const fetchIt = (path?: string) => fetchModel("m", dir, { sources: source(path), allowHttp: true });

  it("downloads, reports progress and pins the digest on first use", async () => {
    const progress: number[] = [];
    const fetched = await fetchModel("m", dir, {
      sources: source(),
      allowHttp: true,
      onProgress: (received, total) => progress.push(received / (total ?? 1)),
    });
    assert.equal(fetched.isFirstUse, true);
    assert.deepEqual(Buffer.from(fetched.graphDef), CONTENT);
    assert.equal(progress.at(-1), 1);
    assert.equal(readFileSync(join(dir, "pins.txt"), "utf8"), `${fetched.sha256}  ${base}/model.pb\n`);
  });

  it("accepts the pinned content again", async () => {
    const first = await fetchIt();
    const second = await fetchIt();
    assert.equal(second.isFirstUse, false);
    assert.equal(second.sha256, first.sha256);
  });

  it("refuses changed content and keeps nothing of it", async () => {
    await fetchIt();
    content = Buffer.from(CONTENT);
    content[5] = 0xff;
    await assert.rejects(fetchIt(), { code: "DOWNLOAD_DIGEST" });
    assert.deepEqual(readFileSync(join(dir, "m.pb")), CONTENT);
    assert.ok(!readdirSync(dir).includes("m.pb.part"));
  });

  it("goes on where a broken download stopped", async () => {
    breakAfter = 40_000;
    await assert.rejects(fetchIt(), { code: "DOWNLOAD_FAILED" });
    breakAfter = undefined;
    const fetched = await fetchIt();
    assert.deepEqual(Buffer.from(fetched.graphDef), CONTENT);
    assert.deepEqual(ranges, [undefined, "bytes=40000-"]);
  });

  it("takes a whole part file as it is", async () => {
    writeFileSync(join(dir, "m.pb.part"), CONTENT);
    assert.deepEqual(Buffer.from((await fetchIt()).graphDef), CONTENT);
  });

  it("follows redirects", async () => {
    assert.deepEqual(Buffer.from((await fetchIt("/moved")).graphDef), CONTENT);
  });

  it("fails with a code where the file is missing, too large, or not behind https", async () => {
    await assert.rejects(fetchIt("/none"), { code: "DOWNLOAD_FAILED" });
    await assert.rejects(fetchModel("m", dir, { sources: source(), allowHttp: true, maxBytes: 10 }), {
      code: "LIMIT_EXCEEDED",
    });
    await assert.rejects(fetchModel("m", dir, { sources: source() }), { code: "DOWNLOAD_FAILED" });
    await assert.rejects(fetchModel("other", dir, { sources: source() }), { code: "MODEL_NOT_FOUND" });
  });

  it("refuses a damaged file of pins", async () => {
    writeFileSync(join(dir, "pins.txt"), "nonsense\n");
    await assert.rejects(fetchIt(), { code: "DOWNLOAD_DIGEST" });
  });
});
