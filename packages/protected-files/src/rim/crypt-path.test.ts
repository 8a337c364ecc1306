import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { normalisePath } from "../path.ts";
import { decryptPath, encryptPath } from "./crypt-path.ts";
import { generateWrapKey, readKeyFile, writeKeyFile } from "./key-file.ts";
import { rejectsCode } from "./test-assert.ts";
import { inDirectory } from "./test-directory.ts";
import { sealedBytes, sha256Hex, vector, vectorKey } from "./test-vectors.ts";

const wrapKey = generateWrapKey();

suite("key files", () => {
  test("a generated key has mode 0600, is never overwritten silently, and reads back", () =>
    inDirectory(async (dir) => {
      const path = join(dir, "wrap_key");
      await writeKeyFile(path, wrapKey);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      await rejectsCode(writeKeyFile(path, wrapKey), "OUTPUT_EXISTS", path);
      const read = await readKeyFile(path);
      assert.deepEqual(Buffer.from(read.wrapKey.reveal()), Buffer.from(wrapKey.reveal()));
      assert.equal(read.readableByOthers, false);
      await chmod(path, 0o644);
      assert.equal((await readKeyFile(path)).readableByOthers, true);
    }));

  test("a key file of another length is refused", () =>
    inDirectory(async (dir) => {
      for (const length of [0, 15, 17, 33]) {
        await writeFile(join(dir, "k"), new Uint8Array(length));
        await rejectsCode(readKeyFile(join(dir, "k")), "WRAP_KEY_LENGTH");
      }
      await rejectsCode(readKeyFile(join(dir, "none")), "INPUT_MISSING");
    }));
});

suite("encrypting and decrypting paths", () => {
  test("a file is bound to its output path, and -V compares with the input path", () =>
    inDirectory(async (dir) => {
      const [plain, sealed, back] = [join(dir, "p"), join(dir, "s"), join(dir, "b")];
      await writeFile(plain, "text");
      const [done] = await encryptPath({ input: plain, output: sealed, wrapKey });
      assert.equal(done?.boundPath, normalisePath(sealed));
      await decryptPath({ input: sealed, output: back, wrapKey, boundPath: sealed });
      assert.equal(await readFile(back, "utf8"), "text");
      const other = { input: sealed, output: join(dir, "x"), wrapKey, boundPath: back };
      await rejectsCode(decryptPath(other), "PATH_MISMATCH");
      await decryptPath({ input: sealed, output: join(dir, "x"), wrapKey });
    }));

  test("a directory goes over with everything below it and comes back the same", () =>
    inDirectory(async (dir) => {
      const [plain, sealed, back] = [join(dir, "p"), join(dir, "s"), join(dir, "b")];
      await mkdir(join(plain, "variables"), { recursive: true });
      await writeFile(join(plain, "saved_model.pb"), "graph");
      await writeFile(join(plain, "variables", "data"), new Uint8Array(50_000));
      const done = await encryptPath({ input: plain, output: sealed, wrapKey, boundPath: "models/m/1" });
      assert.deepEqual(
        done.map((file) => file.boundPath),
        ["models/m/1/saved_model.pb", "models/m/1/variables/data"],
      );
      await decryptPath({ input: sealed, output: back, wrapKey, boundPath: "models/m/1/" });
      assert.equal(await readFile(join(back, "saved_model.pb"), "utf8"), "graph");
      assert.equal((await readFile(join(back, "variables", "data"))).length, 50_000);
    }));

  test("a path to bind that is not in normal form is reported", () =>
    inDirectory(async (dir) => {
      await writeFile(join(dir, "p"), "x");
      const [done] = await encryptPath({ input: join(dir, "p"), output: join(dir, "s"), wrapKey, boundPath: "./m//x" });
      assert.equal(done?.wasNormal, false);
      assert.equal(done.boundPath, "m/x");
    }));

  test("a missing input fails, and so does a missing output directory", () =>
    inDirectory(async (dir) => {
      const missing = join(dir, "none");
      await rejectsCode(encryptPath({ input: missing, output: join(dir, "s"), wrapKey }), "INPUT_MISSING", missing);
      await rejectsCode(decryptPath({ input: missing, output: join(dir, "s"), wrapKey }), "INPUT_MISSING", missing);
      await writeFile(join(dir, "p"), "x");
      const output = join(dir, "no", "s");
      await rejectsCode(encryptPath({ input: join(dir, "p"), output, wrapKey }), "OUTPUT_DIRECTORY_MISSING", output);
      assert.deepEqual(await readdir(dir), ["p"]);
    }));

  test("a stock file bound to a raw path opens with the tolerance only", () =>
    inDirectory(async (dir) => {
      const one = vector("path-slashes");
      const [input, output] = [join(dir, "in"), join(dir, "out")];
      await writeFile(input, sealedBytes(one.name));
      const options = { input, output, wrapKey: vectorKey(one.key_hex), boundPath: one.bound_path };
      await rejectsCode(decryptPath(options), "PATH_NOT_NORMAL");
      await decryptPath({ ...options, tolerate: ["raw-path"] });
      assert.equal(sha256Hex(await readFile(output)), one.plaintext_sha256);
    }));
});
