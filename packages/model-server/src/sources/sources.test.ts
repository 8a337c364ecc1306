import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { Secret } from "@cloister/encoding";
import { encodeBundleManifest, ProtectedFileError, sealBundle } from "@cloister/protected-files";
import { generateWrapKey } from "@cloister/protected-files/rim";
import { ModelServerError } from "../errors.ts";
import { anySource } from "./any-source.ts";
import { readArchive } from "./archive.ts";
import { directorySource } from "./directory.ts";
import { withoutQuery } from "./model-source.ts";
import { sealedSource } from "./sealed.ts";
import { signedHeaders } from "./sign-v4.ts";

const hasCode = (code: string) => (error: unknown) => error instanceof ModelServerError && error.code === code;
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

async function folder(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "cloister-sources-"));
  context.after(() => rm(path, { recursive: true }));
  return path;
}

interface Store {
  readonly endpoint: string;
  /** Paths with their queries, and whether each request was signed. */
  readonly requests: { readonly url: string; readonly authorization: string | undefined }[];
}

/** A store of objects that answers as S3 does, two keys a page. */
async function store(context: TestContext, objects: Readonly<Record<string, string>>): Promise<Store> {
  const requests: { url: string; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://store");
    requests.push({ url: request.url ?? "", authorization: request.headers.authorization });
    const [, bucket, ...key] = url.pathname.split("/");
    if (bucket === "forbidden") {
      response.writeHead(403).end("secret reason");
      return;
    }
    const body = url.searchParams.has("list-type")
      ? listing(objects, url.searchParams)
      : objects[decodeURIComponent(key.join("/"))];
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

function listing(objects: Readonly<Record<string, string>>, query: URLSearchParams): string {
  const prefix = query.get("prefix") ?? "";
  const entries = new Set<string>();
  for (const key of Object.keys(objects).filter((one) => one.startsWith(prefix))) {
    const slash = query.has("delimiter") ? key.indexOf("/", prefix.length) : -1;
    entries.add(slash === -1 ? key : key.slice(0, slash + 1));
  }
  const start = Number(query.get("continuation-token") ?? 0);
  const page = [...entries].toSorted().slice(start, start + 2);
  const rows = page.map((entry) => {
    const name = entry.replaceAll("&", "&amp;");
    return entry.endsWith("/")
      ? `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`
      : `<Contents><Key>${name}</Key></Contents>`;
  });
  const more = start + 2 < entries.size;
  return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${more ? `<NextContinuationToken>${start + 2}</NextContinuationToken>` : ""}${rows.join("")}</ListBucketResult>`;
}

test("versions in an S3-compatible store are listed page by page and read with all their files", async (context) => {
  const { endpoint, requests } = await store(context, {
    "models/half/1/saved_model.pb": "one",
    "models/half/00000002/saved_model.pb": "two",
    "models/half/00000002/variables/a & b": "weights",
    "models/half/00000002/assets.extra/tf_serving_warmup_requests": "warm",
    "models/half/notes/readme": "no version",
    "models/half/readme": "no version",
  });
  const source = anySource({ endpoint, allowsHttp: true });
  const versions = await source.listVersions("s3://bucket/models/half");
  assert.deepEqual([...(versions ?? [])].toSorted(), [
    [1n, "s3://bucket/models/half/1"],
    [2n, "s3://bucket/models/half/00000002"],
  ]);
  const files = await source.readVersion(versions?.get(2n) ?? "");
  assert.deepEqual(
    [...files].map(([path, bytes]) => [path, text(bytes)]),
    [
      ["assets.extra/tf_serving_warmup_requests", "warm"],
      ["saved_model.pb", "two"],
      ["variables/a & b", "weights"],
    ],
  );
  assert.ok(requests.every(({ authorization }) => authorization === undefined));
  const byUrl = await anySource({ allowsHttp: true }).listVersions(`${endpoint}/bucket/models/half`);
  assert.deepEqual(byUrl?.size, 2);
});

test("requests are signed where there are keys", async (context) => {
  const { endpoint, requests } = await store(context, { "m/1/saved_model.pb": "x" });
  const credentials = { keyId: "KEYID", secretKey: "SECRET" };
  await anySource({ endpoint, allowsHttp: true, region: "eu-1", credentials }).listVersions("s3://bucket/m");
  assert.match(requests[0]?.authorization ?? "", /^AWS4-HMAC-SHA256 Credential=KEYID\/\d{8}\/eu-1\/s3\/aws4_request, /);
});

test("a signature is that of AWS's own example of a listing", () => {
  // "Signature Calculations for the Authorization Header", example GET Bucket (List Objects): its keys and its answer.
  const url = new URL("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J");
  const credentials = { keyId: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
  const { authorization = "" } = signedHeaders(url, "us-east-1", credentials, new Date("2013-05-24T00:00:00Z"));
  const expected = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
  assert.equal(authorization.split("Signature=")[1], expected);
});

test("what a store refuses is told by its place, without the query, and as a missing base path when listing", async (context) => {
  const { endpoint } = await store(context, {});
  const source = anySource({ allowsHttp: true });
  assert.equal(await source.listVersions(`${endpoint}/forbidden/m`), undefined);
  await assert.rejects(source.readVersion(`${endpoint}/forbidden/m/1`), hasCode("PERMISSION_DENIED"));
  await assert.rejects(source.readVersion(`${endpoint}/bucket/m/1`), hasCode("NOT_FOUND"));
  await assert.rejects(source.readVersion(`${endpoint}/bucket/1.tar.gz?signature=abc`), (error: unknown) => {
    assert.ok(hasCode("NOT_FOUND")(error) && error instanceof Error);
    assert.doesNotMatch(error.message, /abc/);
    return true;
  });
  await assert.rejects(source.readVersion("http://127.0.0.1:1/bucket/m/1"), hasCode("UNAVAILABLE"));
  assert.equal(withoutQuery("https://h/m.tar?key=1"), "https://h/m.tar");
});

test("folders whose names are whole numbers of 64 bits are versions, and of two for one number the last counts", async (context) => {
  const base = await mkdtemp(join(tmpdir(), "cloister-versions-"));
  context.after(() => rm(base, { recursive: true }));
  const names = ["0000123", "123", "7", "-1", "1.5", "v2", "9223372036854775807", "9223372036854775808"];
  for (const name of names) await mkdir(join(base, name));
  await writeFile(join(base, "8"), "no folder");
  assert.deepEqual(
    await directorySource.listVersions(base),
    new Map([
      [123n, join(base, "123")],
      [7n, join(base, "7")],
      [2n ** 63n - 1n, join(base, "9223372036854775807")],
    ]),
  );
});

test("http is refused unless it is asked for, and so are schemes that nothing reads", async () => {
  await assert.rejects(anySource().listVersions("http://h/b/m"), hasCode("FAILED_PRECONDITION"));
  await assert.rejects(anySource({ endpoint: "http://h" }).listVersions("s3://b/m"), hasCode("FAILED_PRECONDITION"));
  await assert.rejects(anySource().listVersions("ftp://h/m"), hasCode("INVALID_ARGUMENT"));
});

test("an archive is one version: tar's own, with long names, compressed or not, in a folder or not", async (context) => {
  const base = await folder(context);
  const long = `variables/${"v".repeat(90)}/${"w".repeat(90)}`;
  await mkdir(join(base, "m", dirname(long)), { recursive: true });
  await writeFile(join(base, "m/saved_model.pb"), "graph");
  await writeFile(join(base, "m", long), "weights");
  for (const format of ["ustar", "gnu", "pax"]) {
    for (const flags of ["-c", "-cz"]) {
      for (const inside of [
        ["-C", base, "m"],
        ["-C", join(base, "m"), "."],
      ]) {
        const bytes = execFileSync("tar", [flags, `--format=${format}`, "-f", "-", ...inside]);
        const files = await readArchive(new Uint8Array(bytes));
        assert.deepEqual([...files].map(([path, content]) => [path, text(content)]).toSorted(), [
          ["saved_model.pb", "graph"],
          [long, "weights"],
        ]);
      }
    }
  }
  const versions = await anySource().listVersions("https://h/half/7.tar.gz?sig=x");
  assert.deepEqual(versions, new Map([[7n, "https://h/half/7.tar.gz?sig=x"]]));
});

test("a damaged archive is refused", async (context) => {
  const base = await folder(context);
  await writeFile(join(base, "saved_model.pb"), "graph".repeat(500));
  const bytes = new Uint8Array(execFileSync("tar", ["-cf", "-", "-C", base, "."]));
  await assert.rejects(readArchive(bytes.subarray(0, 1300)), hasCode("DATA_LOSS"));
  await assert.rejects(readArchive(new Uint8Array(2048)), hasCode("DATA_LOSS"));
  await assert.rejects(readArchive(Uint8Array.of(0x1f, 0x8b, 8, 0, 0)), hasCode("DATA_LOSS"));
  for (let at = 0; at < 512; at++) {
    const damaged = bytes.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0xff;
    await readArchive(damaged).catch((error: unknown) => assert.ok(hasCode("DATA_LOSS")(error)));
  }
});

test("sealed versions are opened in memory, and a changed file, an older bundle and another place are refused", async (context) => {
  const base = await folder(context);
  const { publicKey: ownerKey, privateKey: signingKey } = generateKeyPairSync("ed25519");
  const wrapKey = generateWrapKey();
  const files = new Map([["saved_model.pb", new TextEncoder().encode("graph")]]);
  const sealed = sealBundle({ model: { name: "half", version: 3 }, generation: 5, files, wrapKey, signingKey });
  const version = join(base, "models/half/3");
  await mkdir(version, { recursive: true });
  await mkdir(join(base, "bundles/half"), { recursive: true });
  await writeFile(join(base, "bundles/half/3.json"), encodeBundleManifest(sealed.manifest));
  for (const [path, bytes] of sealed.sealed) await writeFile(join(version, path), bytes);
  const source = (minimumGeneration: number) =>
    sealedSource(directorySource, async () => ({
      wrapKey: new Secret(wrapKey.reveal().slice(), "wrap key"),
      ownerKey,
      minimumGeneration,
    }));
  assert.deepEqual(await source(5).listVersions(join(base, "models/half")), new Map([[3n, version]]));
  assert.equal(text((await source(5).readVersion(version)).get("saved_model.pb")), "graph");
  const refused = (code: string) => (error: unknown) => error instanceof ProtectedFileError && error.code === code;
  await assert.rejects(source(6).readVersion(version), refused("BUNDLE_GENERATION_TOO_OLD"));
  await writeFile(join(version, "saved_model.pb"), "other");
  await assert.rejects(source(5).readVersion(version), refused("BUNDLE_FILE_CHANGED"));
  await assert.rejects(source(5).readVersion(join(base, "3")), hasCode("INVALID_ARGUMENT"));
});
