import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { truncateSync } from "node:fs";
import { mkdir, readdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { NodeCipher } from "../node-cipher.ts";
import { openFile, ANY_PATH } from "../open.ts";
import { sealFile } from "../seal.ts";
import { CIPHER_VARIABLE } from "./choose-cipher.ts";
import { openFileTo, type OpenFileToOptions, withReader } from "./open-file.ts";
import { sealFileTo } from "./seal-file.ts";
import { rejectsCode } from "./test-assert.ts";
import { CIPHERS } from "./test-ciphers.ts";
import { inDirectory } from "./test-directory.ts";
import { index, mutated, sealedBytes, sha256Hex, vector, vectorKey } from "./test-vectors.ts";
import { WorkerPool } from "./worker-pool.ts";

const wrapKey = vectorKey("00112233445566778899aabbccddeeff");
const options = { wrapKey, boundPath: "models/m/1/x" };

/** Two threads that use this cipher: they choose by the environment that they are started in. */
function poolWith({ name }: NodeCipher): WorkerPool {
  process.env[CIPHER_VARIABLE] = name;
  const pool = new WorkerPool(2);
  Reflect.deleteProperty(process.env, CIPHER_VARIABLE);
  return pool;
}

const pools = CIPHERS.map(poolWith);
after(() => Promise.all(pools.map((pool) => pool.close())));

const places = CIPHERS.flatMap((cipher, at) => [
  { name: `on this thread with ${cipher.name}`, work: { cipher } },
  { name: `on two workers with ${cipher.name}`, work: { cipher, pool: pools[at] } },
]);

for (const { name, work: place } of places) {
  suite(`file to file ${name}`, () => {
    const withThreads = { ...options, ...place };

    test("every size around a border round-trips, and opens in memory too", () =>
      inDirectory(async (dir) => {
        const [plain, sealed, back] = ["plain", "sealed", "back"].map((name) => join(dir, name)) as [
          string,
          string,
          string,
        ];
        for (const size of [0, 1, 3072, 3073, 7168, 7169, 396_288, 396_289, 792_577, 3_000_000]) {
          const plaintext = new Uint8Array(randomBytes(size));
          await writeFile(plain, plaintext);
          const info = await sealFileTo(plain, sealed, { ...withThreads, overwrite: true });
          const bytes = new Uint8Array(await readFile(sealed));
          assert.equal(info.sealedBytes, bytes.length);
          assert.equal(info.metadataTag, Buffer.from(bytes.subarray(42, 58)).toString("hex"));
          assert.equal(sha256Hex(openFile(bytes, options)), sha256Hex(plaintext), `size ${size}`);
          await openFileTo(sealed, back, { ...withThreads, overwrite: true });
          assert.equal(sha256Hex(await readFile(back)), sha256Hex(plaintext));
        }
      }));

    test("a third tree level is written and read", () =>
      inDirectory(async (dir) => {
        const [plain, sealed] = [join(dir, "plain"), join(dir, "sealed")];
        const size = 13_500_000;
        const plaintext = new Uint8Array(randomBytes(size));
        await writeFile(plain, plaintext);
        await sealFileTo(plain, sealed, withThreads);
        const bytes = await withReader(sealed, options, (reader) => reader.read(13_100_000, 400_000));
        assert.equal(Buffer.compare(bytes, plaintext.subarray(13_100_000)), 0);
      }));

    test("every refused mutation leaves no output, temporary or otherwise", () =>
      inDirectory(async (dir) => {
        const input = join(dir, "input");
        for (const one of index.negative.cases.filter((each) => each.name !== "trunc-0" && each.master.rc !== 0)) {
          await writeFile(input, mutated(one));
          const open: OpenFileToOptions = { wrapKey: vectorKey(one.key_hex), boundPath: one.path, ...place };
          await assert.rejects(openFileTo(input, join(dir, "output"), open), { name: "ProtectedFileError" });
          assert.deepEqual(await readdir(dir), ["input"], one.name);
        }
      }));

    test("a file that shrinks while it is sealed is refused", () =>
      inDirectory(async (dir) => {
        const input = join(dir, "input");
        await writeFile(input, new Uint8Array(8_000_000));
        let cut: Promise<void> | undefined;
        const onProgress = (): void => void (cut ??= truncate(input, 10));
        const sealing = sealFileTo(input, join(dir, "output"), { ...withThreads, onProgress });
        await rejectsCode(sealing, "INPUT_CHANGED");
        await cut;
        assert.deepEqual(await readdir(dir), ["input"]);
      }));

    test("a file that grows while it is sealed is refused", () =>
      inDirectory(async (dir) => {
        const input = join(dir, "input");
        await writeFile(input, new Uint8Array(2_000_000));
        let grown = false;
        const onProgress = (): void => {
          if (!grown) truncateSync(input, 3_000_000);
          grown = true;
        };
        const sealing = sealFileTo(input, join(dir, "output"), { ...withThreads, onProgress });
        await rejectsCode(sealing, "INPUT_CHANGED", input);
        assert.deepEqual(await readdir(dir), ["input"]);
      }));

    test("a caller can stop, and what was there before stays", () =>
      inDirectory(async (dir) => {
        const [input, output] = [join(dir, "input"), join(dir, "output")];
        await writeFile(input, new Uint8Array(8_000_000));
        await writeFile(output, "before");
        const stop = new AbortController();
        const onProgress = (): void => {
          stop.abort();
        };
        const work = { ...withThreads, overwrite: true, onProgress, signal: stop.signal };
        await rejectsCode(sealFileTo(input, output, work), "ABORTED");
        assert.equal(await readFile(output, "utf8"), "before");
        assert.deepEqual((await readdir(dir)).sort(), ["input", "output"]);
      }));
  });
}

suite("files", () => {
  test("plaintext is readable by its owner only, ciphertext by all", () =>
    inDirectory(async (dir) => {
      const [plain, sealed, back] = [join(dir, "plain"), join(dir, "sealed"), join(dir, "back")];
      await writeFile(plain, "x");
      await sealFileTo(plain, sealed, options);
      await openFileTo(sealed, back, options);
      assert.equal((await stat(sealed)).mode & 0o777, 0o644);
      assert.equal((await stat(back)).mode & 0o777, 0o600);
    }));

  test("nothing is overwritten unless asked for", () =>
    inDirectory(async (dir) => {
      const [plain, sealed] = [join(dir, "plain"), join(dir, "sealed")];
      await writeFile(plain, "x");
      await writeFile(sealed, "old");
      await rejectsCode(sealFileTo(plain, sealed, options), "OUTPUT_EXISTS", sealed);
      await rejectsCode(openFileTo(plain, sealed, options), "LENGTH_NOT_NODES");
      assert.equal(await readFile(sealed, "utf8"), "old");
    }));

  test("a small file over a large one leaves no stale nodes", () =>
    inDirectory(async (dir) => {
      const [plain, sealed] = [join(dir, "plain"), join(dir, "sealed")];
      await writeFile(sealed, sealFile(new Uint8Array(500_000), options));
      await writeFile(plain, "x");
      await sealFileTo(plain, sealed, { ...options, overwrite: true });
      assert.equal((await stat(sealed)).size, 4096);
    }));

  test("missing inputs and directories are refused by name", () =>
    inDirectory(async (dir) => {
      const missing = join(dir, "missing");
      await rejectsCode(sealFileTo(missing, join(dir, "o"), options), "INPUT_MISSING", missing);
      await rejectsCode(openFileTo(missing, join(dir, "o"), options), "INPUT_MISSING", missing);
      await mkdir(join(dir, "sub"));
      await rejectsCode(sealFileTo(join(dir, "sub"), join(dir, "o"), options), "INPUT_NOT_REGULAR", join(dir, "sub"));
      await symlink("nowhere", join(dir, "link"));
      await rejectsCode(openFileTo(join(dir, "link"), join(dir, "o"), options), "INPUT_MISSING", join(dir, "link"));
    }));

  test("a stock file of 5 MiB opens from file to file", () =>
    inDirectory(async (dir) => {
      const one = vector("s5242880");
      await writeFile(join(dir, "in"), sealedBytes(one.name));
      const open = { wrapKey: vectorKey(one.key_hex), boundPath: ANY_PATH, pool: pools[0] } as const;
      await openFileTo(join(dir, "in"), join(dir, "out"), open);
      assert.equal(sha256Hex(await readFile(join(dir, "out"))), one.plaintext_sha256);
    }));

  test("threads that are stopped in the middle of calls into OpenSSL end the work and nothing else", () =>
    inDirectory(async (dir) => {
      await writeFile(join(dir, "in"), new Uint8Array(20_000_000));
      for (let round = 0; round < 2; round += 1) {
        const stopped = new WorkerPool(2);
        const close = (): void => void stopped.close();
        const sealing = sealFileTo(join(dir, "in"), join(dir, "out"), { ...options, pool: stopped, onProgress: close });
        await rejectsCode(sealing, "WORKER_FAILED");
      }
      assert.deepEqual(await readdir(dir), ["in"]);
    }));

  test("work on a closed pool fails instead of waiting for ever", () =>
    inDirectory(async (dir) => {
      await writeFile(join(dir, "in"), new Uint8Array(100_000));
      const closed = new WorkerPool(1);
      await closed.close();
      await rejectsCode(sealFileTo(join(dir, "in"), join(dir, "out"), { ...options, pool: closed }), "WORKER_FAILED");
    }));
});
