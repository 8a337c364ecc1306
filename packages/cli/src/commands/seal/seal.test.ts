import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { run } from "../../program.ts";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process and catches what it prints. */
async function cloister(...argv: readonly string[]): Promise<Ran> {
  const caught = { out: "", err: "" };
  const [stdout, stderr] = [process.stdout.write.bind(process.stdout), process.stderr.write.bind(process.stderr)];
  process.stdout.write = (text) => ((caught.out += String(text)), true);
  process.stderr.write = (text) => ((caught.err += String(text)), true);
  try {
    return { code: await run(argv), ...caught };
  } finally {
    process.stdout.write = stdout;
    process.stderr.write = stderr;
  }
}

interface Workspace {
  readonly dir: string;
  readonly plain: string;
  /** `--name` and the folders, for every command. */
  readonly flags: readonly string[];
}

async function inWorkspace(use: (workspace: Workspace) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "seal-"));
  try {
    const plain = join(dir, "plain/digits/1");
    await mkdir(join(plain, "variables"), { recursive: true });
    await writeFile(join(plain, "saved_model.pb"), "graph");
    await writeFile(join(plain, "variables/data"), new Uint8Array(500_000).fill(5));
    const flags = ["--name", "digits", "--sealed", join(dir, "sealed"), "--keys", join(dir, "keys")];
    await use({ dir, plain, flags });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const generationOf = (ran: Ran): number => (JSON.parse(ran.out) as { generation: number }).generation;

suite("cloister seal", () => {
  test("a model is sealed, verified and opened again; keys are private; generations only grow", () =>
    inWorkspace(async ({ dir, plain, flags }) => {
      assert.equal(generationOf(await cloister("seal", "bundle", plain, ...flags, "--json")), 1);
      assert.equal((await stat(join(dir, "keys"))).mode & 0o777, 0o700);
      for (const name of ["signing-key.pem", "digits-1.wrap-key"]) {
        assert.equal((await stat(join(dir, "keys", name))).mode & 0o777, 0o600, name);
      }
      const again = await cloister("seal", "bundle", plain, ...flags);
      assert.equal(again.code, 1);
      assert.match(again.err, /^OUTPUT_EXISTS: /);
      assert.equal(
        (await cloister("seal", "verify", ...flags)).code,
        0,
        "a failed sealing does not outdate the bundle",
      );
      assert.equal(generationOf(await cloister("seal", "bundle", plain, ...flags, "--replace", "--json")), 3);
      const older = await cloister("seal", "bundle", plain, ...flags, "--replace", "--generation", "3");
      assert.match(older.err, /^GENERATION_NOT_NEWER: /);
      const output = join(dir, "opened");
      const opened = await cloister("seal", "open", ...flags, "--output", output);
      assert.equal(opened.code, 0, opened.err);
      assert.equal(await readFile(join(output, "saved_model.pb"), "utf8"), "graph");
      assert.equal((await stat(join(output, "variables/data"))).mode & 0o777, 0o600);
    }));

  test("an older bundle put back is refused, and nothing is written", () =>
    inWorkspace(async ({ dir, plain, flags }) => {
      await cloister("seal", "bundle", plain, ...flags);
      const manifest = join(dir, "sealed/bundles/digits/1.json");
      const old = await readFile(manifest);
      await cloister("seal", "bundle", plain, ...flags, "--replace");
      await writeFile(manifest, old);
      const output = join(dir, "opened");
      assert.match((await cloister("seal", "open", ...flags, "--output", output)).err, /^BUNDLE_GENERATION_TOO_OLD: /);
      const asked = await cloister("seal", "open", ...flags, "--output", output, "--minimum-generation", "0");
      assert.match(asked.err, /^BUNDLE_FILE_OLDER: /);
      assert.equal((await readdir(dir)).includes("opened"), false);
    }));

  test("a re-keyed model opens under the new key, and the command says what that is not", () =>
    inWorkspace(async ({ dir, plain, flags }) => {
      await cloister("seal", "bundle", plain, ...flags);
      const body = async (): Promise<Buffer> =>
        (await readFile(join(dir, "sealed/models/digits/1/variables/data"))).subarray(4096);
      const key = await readFile(join(dir, "keys/digits-1.wrap-key"));
      const before = await body();
      const ran = await cloister("seal", "rekey", ...flags);
      assert.equal(ran.code, 0, ran.err);
      assert.match(ran.out, /Whoever had the old wrap key .* can still read the file/s);
      assert.deepEqual(await body(), before);
      assert.notDeepEqual(await readFile(join(dir, "keys/digits-1.wrap-key")), key);
      assert.equal((await cloister("seal", "verify", ...flags)).code, 0);
      assert.equal((await cloister("seal", "rekey", ...flags, "--full")).code, 0);
      assert.notDeepEqual(await body(), before);
      assert.equal((await cloister("seal", "verify", ...flags)).code, 0);
    }));

  test("one file is re-keyed in place and inspected with its key", () =>
    inWorkspace(async ({ dir, plain, flags }) => {
      await cloister("seal", "bundle", plain, ...flags);
      const file = join(dir, "sealed/models/digits/1/variables/data");
      const keys = ["--wrap-key", join(dir, "keys/digits-1.wrap-key"), "--new-wrap-key", join(dir, "new")];
      assert.equal((await cloister("seal", "rekey", file, ...keys)).code, 0);
      const seen = await cloister("seal", "inspect", file, "--wrap-key", join(dir, "new"), "--json");
      const { verified } = JSON.parse(seen.out) as {
        verified: { boundPath: string; sizeBytes: number; mhtNodes: number };
      };
      assert.equal(verified.boundPath, "models/digits/1/variables/data");
      assert.equal(verified.sizeBytes, 500_000);
      assert.equal(verified.mhtNodes, 2);
      const manifest = ["--manifest", join(dir, "sealed/bundles/digits/1.json")];
      const pinned = await cloister("seal", "inspect", file, ...manifest, "--json");
      assert.equal((JSON.parse(pinned.out) as { pinnedBy: unknown }).pinnedBy, null);
      assert.equal((await cloister("seal", "rekey", file)).code, 2);
    }));

  test("inspecting a manifest, and a file beside it, shows the generation", () =>
    inWorkspace(async ({ dir, plain, flags }) => {
      await cloister("seal", "bundle", plain, ...flags, "--generation", "7");
      const manifest = join(dir, "sealed/bundles/digits/1.json");
      assert.equal(generationOf(await cloister("seal", "inspect", manifest, "--json")), 7);
      const file = join(dir, "sealed/models/digits/1/saved_model.pb");
      assert.match((await cloister("seal", "inspect", file, "--manifest", manifest)).out, /generation 7/);
    }));

  test("a host's bundle is what it may see, and a plaintext model or a key in it is named", () =>
    inWorkspace(async ({ dir, plain, flags }) => {
      await cloister("seal", "bundle", plain, ...flags);
      const [workspace, output] = [join(dir, "sealed"), join(dir, "host")];
      const make = (): Promise<Ran> =>
        cloister("seal", "role-bundle", "host", "--workspace", workspace, "--output", output, "--json");
      const { files } = JSON.parse((await make()).out) as { files: string[] };
      const sealed = ["models/digits/1/saved_model.pb", "models/digits/1/variables/data"];
      assert.deepEqual(files, ["bundles/digits/1.json", ...sealed]);
      await rm(output, { recursive: true });
      await writeFile(join(workspace, "models/digits/1/copy.pb"), "graph");
      const refused = JSON.parse((await make()).out) as { error: { code: string; message: string } };
      assert.equal(refused.error.code, "ROLE_PLAINTEXT_MODEL");
      assert.match(refused.error.message, /models\/digits\/1\/copy\.pb/);
    }));
});
