import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env, execPath } from "node:process";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openFile } from "../open.ts";
import { sealFile } from "../seal.ts";
import { exists } from "./atomic-file.ts";
import { repairReKey } from "./re-key-file.ts";
import { inDirectory } from "./test-directory.ts";
import { vectorKey, vectorPlaintext } from "./test-vectors.ts";

// Kills a child at every boundary of every call that changes the disk, and looks at what is there afterwards.

const wrapKey = vectorKey("00112233445566778899aabbccddeeff");
const newWrapKey = vectorKey("ffeeddccbbaa99887766554433221100");
const boundPath = "a/b";
const child = fileURLToPath(new URL("./crash-child.ts", import.meta.url));
const oldPlaintext = vectorPlaintext("old", 0, 9000);
// Three groups, so that there are boundaries between them.
const newPlaintext = vectorPlaintext("new", 0, 800_000);
const MAX_BOUNDARIES = 60;
// The children start from compiled code.
const cache = join(tmpdir(), "protected-files-crash-cache");

interface Crash {
  readonly output: string;
  readonly dir: string;
}

/** Runs `job` once for each boundary until it gets through; `look` sees what a crash left. Gives the number of crashes. */
async function killEverywhere(
  job: string,
  prepare: (at: Crash & { readonly input: string }) => Promise<void>,
  look: (at: Crash) => Promise<void>,
): Promise<number> {
  for (let boundary = 0; boundary < MAX_BOUNDARIES; boundary += 1) {
    let crashed = false;
    await inDirectory(async (dir) => {
      const [input, output] = [join(dir, "input"), join(dir, "output")];
      await prepare({ input, output, dir });
      const run = spawnSync(execPath, [child, job, String(boundary), input, output], {
        encoding: "utf8",
        env: { ...env, NODE_COMPILE_CACHE: cache },
        timeout: 120_000,
      });
      crashed = run.signal === "SIGKILL";
      assert.ok(crashed || run.status === 0, run.stderr);
      await look({ output, dir });
    });
    if (!crashed) return boundary;
  }
  return assert.fail("the job has more boundaries than this test expects");
}

const read = async (path: string): Promise<Uint8Array> => new Uint8Array(await readFile(path));
const sealedOld = sealFile(oldPlaintext, { wrapKey, boundPath });
const sealedNew = sealFile(newPlaintext, { wrapKey, boundPath });

function isOneOf(bytes: Uint8Array, ...wanted: readonly Uint8Array[]): boolean {
  return wanted.some((one) => Buffer.compare(one, bytes) === 0);
}

suite("killed at every write boundary", () => {
  test("sealing over a file leaves the old or the new one", async () => {
    const crashes = await killEverywhere(
      "seal",
      async ({ input, output }) => {
        await writeFile(input, newPlaintext);
        await writeFile(output, sealedOld);
      },
      async ({ output }) => {
        const plaintext = openFile(await read(output), { wrapKey, boundPath });
        assert.ok(isOneOf(plaintext, oldPlaintext, newPlaintext));
      },
    );
    assert.ok(crashes >= 8, `only ${crashes} boundaries`);
  });

  test("sealing to a new name leaves nothing or the whole file", async () => {
    await killEverywhere(
      "seal new",
      ({ input }) => writeFile(input, newPlaintext),
      async ({ output }) => {
        if (await exists(output)) assert.deepEqual(openFile(await read(output), { wrapKey, boundPath }), newPlaintext);
      },
    );
  });

  test("opening leaves the old or the new plaintext", async () => {
    await killEverywhere(
      "open",
      async ({ input, output }) => {
        await writeFile(input, sealedNew);
        await writeFile(output, oldPlaintext);
      },
      async ({ output }) => {
        assert.ok(isOneOf(await read(output), oldPlaintext, newPlaintext));
      },
    );
  });

  test("a re-keyed file opens under the old or the new key, after a repair at most", async () => {
    const repair = { wrapKey, newWrapKey, boundPath };
    const crashes = await killEverywhere(
      "re-key",
      async ({ input, output }) => {
        await writeFile(output, sealedOld);
        await copyFile(output, input);
      },
      async ({ output, dir }) => {
        await repairReKey(output, repair);
        const bytes = await read(output);
        const keys = [wrapKey, newWrapKey].filter((key) => isSealedUnder(bytes, key));
        assert.equal(keys.length, 1);
        assert.equal(await exists(join(dir, ".output.re-key")), false);
      },
    );
    assert.ok(crashes >= 6, `only ${crashes} boundaries`);
  });

  test("re-encrypting in full leaves the old or the new file", async () => {
    await killEverywhere(
      "re-encrypt",
      async ({ input, output }) => {
        await writeFile(output, sealedOld);
        await copyFile(output, input);
      },
      async ({ output, dir }) => {
        const bytes = await read(output);
        assert.ok(isSealedUnder(bytes, wrapKey) || isSealedUnder(bytes, newWrapKey));
        await rm(dir, { recursive: true });
      },
    );
  });
});

function isSealedUnder(bytes: Uint8Array, key: typeof wrapKey): boolean {
  try {
    return isOneOf(openFile(bytes, { wrapKey: key, boundPath }), oldPlaintext);
  } catch {
    return false;
  }
}
