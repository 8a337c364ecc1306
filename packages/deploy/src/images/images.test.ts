import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { readTar } from "@cloister/encoding/tar";
import { parse } from "yaml";
import { DeployError } from "../errors.ts";
import { buildGramineImage, renderImageSources, stageGramineImage } from "./build.ts";
import { imageFiles } from "./image-files.ts";
import { type ImageFile, type ImageOptions, writeImage } from "./oci-image.ts";

const INSTALLATION = { root: resolve(import.meta.dirname, "../../../.."), nodeExecutable: process.execPath };
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cloister-image-"));
});
after(() => rm(folder, { recursive: true }));

const options = (...files: ImageFile[]): ImageOptions => ({
  reference: "cloister/test:1",
  baseLayers: [],
  files,
  config: { entrypoint: ["/bin/a"], user: "65532:65532", workingDir: "/" },
});
const text = (path: string, content: string): ImageFile => ({ path, source: Buffer.from(content), mode: 0o644 });

const entriesOf = (archive: Buffer): [path: string, content: Buffer][] =>
  [...readTar(archive)].map(({ path, content }) => [path, Buffer.from(content)]);

describe("an image archive", () => {
  test("is one that two builds give byte for byte, in whatever order files come", async () => {
    const files = [text("/etc/b", "two"), text("/etc/a", "one"), { path: "/etc/c", target: "a" }];
    const first = await writeImage(join(folder, "1.tar"), options(...files));
    const second = await writeImage(join(folder, "2.tar"), options(...files.toReversed()));
    assert.equal(first.digest, second.digest);
    assert.deepEqual(await readFile(join(folder, "1.tar")), await readFile(join(folder, "2.tar")));
  });

  test("holds blobs under their own digests, from the index down to the files", async () => {
    const base = join(folder, "base.tar");
    await writeFile(base, "stands for a root file system");
    const image = { ...options(text("/opt/x", "content")), baseLayers: [base] };
    const written = await writeImage(join(folder, "3.tar"), image);
    const archive = new Map(entriesOf(await readFile(join(folder, "3.tar"))));
    for (const [path, content] of archive) {
      if (path.startsWith("blobs/"))
        assert.equal(path, `blobs/sha256/${createHash("sha256").update(content).digest("hex")}`);
    }
    const json = (path: string) => JSON.parse(archive.get(path)?.toString() ?? "") as never;
    const index = json("index.json") as { manifests: { digest: string }[] };
    assert.equal(index.manifests[0]?.digest, written.digest);
    const manifest = json(`blobs/${written.digest.replace(":", "/")}`) as { layers: { digest: string }[] };
    const [below, own] = manifest.layers.map(({ digest }) => archive.get(`blobs/${digest.replace(":", "/")}`));
    assert.equal(below?.toString(), "stands for a root file system");
    assert.deepEqual(
      entriesOf(own ?? Buffer.alloc(0)).map(([path, content]) => [path, content.toString()]),
      [
        ["opt/", ""],
        ["opt/x", "content"],
      ],
    );
    const docker = json("manifest.json") as { RepoTags: string[]; Layers: string[] }[];
    assert.deepEqual(docker[0]?.RepoTags, ["cloister/test:1"]);
    assert.ok(docker[0].Layers.every((path) => archive.has(path)));
  });

  test("keeps a long path, and refuses one that is too long, leaving nothing behind", async () => {
    const long = `/${"d".repeat(90)}/${"f".repeat(90)}`;
    await writeImage(join(folder, "4.tar"), options(text(long, "")));
    const before = await readdir(folder);
    await assert.rejects(
      writeImage(join(folder, "5.tar"), options(text(`/${"f".repeat(101)}`, ""))),
      (error) => error instanceof DeployError && error.code === "IMAGE_FILE_INVALID",
    );
    assert.deepEqual(await readdir(folder), before);
  });
});

describe("what goes into an image", () => {
  test("is what its role needs, and no test, vector, key or document", async () => {
    const paths = new Map<string, string[]>();
    for (const role of ["serving", "broker", "gateway", "client"] as const) {
      const files = await imageFiles({ installation: INSTALLATION, role, hasBase: true });
      paths.set(
        role,
        files.map(({ path }) => path),
      );
    }
    for (const [role, list] of paths) {
      assert.ok(list.includes("/opt/cloister/packages/cli/src/main.ts"), role);
      for (const path of list) assert.doesNotMatch(path, /\.test\.ts$|\.pem$|\.key$|\/vectors\/|\.md$/, role);
    }
    const has = (role: string, part: string): boolean => paths.get(role)?.some((path) => path.includes(part)) === true;
    assert.ok(has("serving", "onnxruntime") && !has("broker", "onnxruntime") && !has("gateway", "onnxruntime"));
    assert.ok(has("broker", "/packages/broker/") && !has("client", "/packages/broker/"));
    assert.ok(has("gateway", "/packages/deploy/src/gateway/") && !has("gateway", "/packages/saved-model/"));
  });
});

test("built packages go into no image where there are none", async () => {
  const installation = { ...INSTALLATION, root: folder };
  await assert.rejects(imageFiles({ installation, role: "serving", hasBase: true, isBuilt: true }), {
    code: "INSTALLATION_NOT_BUILT",
  });
});

describe("what is rendered for Docker", () => {
  const sources = renderImageSources();
  /** Those that install packages. */
  const RUNTIMES = ["replica-gramine-runtime.Dockerfile", "serving-gramine-runtime.Dockerfile", "aesm.Dockerfile"];

  test("builds from a base that has to be named, as a user that is not root", () => {
    for (const [name, source] of sources) {
      if (!name.endsWith(".Dockerfile") || RUNTIMES.includes(name)) continue;
      assert.match(source, /^ARG BASE_IMAGE\nFROM \$\{BASE_IMAGE\}\n/m);
      assert.match(source, /^USER 65532:65532$/m);
      assert.doesNotMatch(source, /^(?:RUN|ADD|ENV)/m);
    }
  });

  test("installs Gramine, servers and AESM in the versions that are named, from signed sources over TLS", () => {
    const versions = [["GRAMINE"], ["GRAMINE", "TENSORFLOW_SERVING"], ["AESM", "QPL"]];
    const packageSources = [2, 3, 1];
    for (const [index, name] of RUNTIMES.entries()) {
      const source = sources.get(name) ?? "";
      const named = versions[index]?.map((part) => `${part}_VERSION`) ?? [];
      for (const argument of ["BASE_IMAGE", "DISTRIBUTION", ...named])
        assert.match(source, new RegExp(`^ARG ${argument}$`, "m"), `${name} ${argument}`);
      assert.equal(source.match(/=\$\{\w+_VERSION\}"/g)?.length, named.length, name);
      assert.equal(source.match(/signed-by=/g)?.length, packageSources[index], name);
      assert.doesNotMatch(source, /http:|trusted=yes|allow-unauthenticated|--force|curl|wget|_proxy/m, name);
    }
  });

  test("puts manifest, signature and what else was measured into the images under Gramine, and no key", async () => {
    const own = { "replica-gramine": "replica.json", "serving-gramine": "ca.pem" } as const;
    for (const role of ["replica-gramine", "serving-gramine"] as const) {
      const enclave = join(folder, role);
      await mkdir(enclave);
      const files = ["cloister.manifest.sgx", "cloister.sig", own[role]];
      for (const name of [...files, "enclave-key.pem"]) await writeFile(join(enclave, name), name);
      assert.equal(await stageGramineImage(join(folder, `${role}-files`), role, enclave), 3);
      assert.deepEqual((await readdir(join(folder, `${role}-files/var/lib/cloister`))).toSorted(), files.toSorted());
      const source = sources.get(`${role}.Dockerfile`) ?? "";
      assert.match(source, new RegExp(`^COPY ${role}/files/ /$`, "m"));
      assert.match(source, /^ENTRYPOINT \["gramine-sgx","cloister"\]$/m);
    }
    for (const name of ["compose.sgx.yaml", "compose.sgx-replica.yaml"]) {
      const override = parse(sources.get(name) ?? "") as { services: Record<string, { volumes: string[] }> };
      for (const { volumes } of Object.values(override.services))
        assert.ok(volumes.every((volume) => volume.startsWith("/var/run/aesmd") || volume.endsWith(":ro")));
    }
  });

  test("is no image under Gramine without what was measured and signed", async () => {
    const options = { role: "replica-gramine", reference: "a:1", base: [], enclave: folder } as const;
    await assert.rejects(
      buildGramineImage(join(folder, "6.tar"), options),
      (error) => error instanceof DeployError && error.code === "IMAGE_FILE_INVALID",
    );
  });

  test("starts containers without rights, with nothing secret beside the replicas", () => {
    assert.match(sources.get("compose.yaml") ?? "", /restart: "no"/, "compose reads a bare no as false");
    const compose = parse(sources.get("compose.yaml") ?? "", { version: "1.1" }) as {
      services: Record<string, { cap_drop: string[]; read_only: boolean; volumes?: string[]; privileged?: boolean }>;
    };
    for (const [name, service] of Object.entries(compose.services)) {
      assert.deepEqual(service.cap_drop, ["ALL"], name);
      assert.equal(service.read_only, true, name);
      assert.equal(service.privileged, undefined, name);
      const mounts = service.volumes?.join("\n") ?? "";
      if (name !== "broker") assert.doesNotMatch(mounts, /owner/, name);
    }
  });
});
