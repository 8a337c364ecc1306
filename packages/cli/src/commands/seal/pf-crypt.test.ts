import assert from "node:assert/strict";
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openFile } from "@cloister/protected-files";
import { readKeyFile } from "@cloister/protected-files/rim";
import { parsePfCryptWords } from "./pf-crypt-options.ts";

// Scripts that were written for gramine-sgx-pf-crypt, run with the name swapped, and the stock tool's own files.

const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
const vectors = fileURLToPath(new URL("../../../../protected-files/vectors", import.meta.url));

interface Vector {
  readonly name: string;
  readonly file: string;
  readonly key_hex: string;
  readonly bound_path: string;
  readonly plaintext_sha256: string;
}

const index = JSON.parse(readFileSync(join(vectors, "index.json"), "utf8")) as { readonly vectors: readonly Vector[] };

function vector(name: string): Vector {
  const found = index.vectors.find((one) => one.name === name);
  assert.ok(found !== undefined);
  return found;
}

async function inDirectory(use: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "pf-crypt-"));
  try {
    await use(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Runs a script with `pf_crypt` standing for the tool. */
function bash(cwd: string, script: string): SpawnSyncReturns<string> {
  const tool = `pf_crypt() { "${process.execPath}" "${main}" seal pf-crypt "$@"; }\n`;
  return spawnSync("bash", ["-c", tool + script], { cwd, encoding: "utf8", timeout: 60_000 });
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

suite("a script for gramine-sgx-pf-crypt", () => {
  test("runs with the name swapped: a key, a file and a directory there and back", () =>
    inDirectory(async (dir) => {
      await mkdir(join(dir, "plain/variables"), { recursive: true });
      await writeFile(join(dir, "plain/saved_model.pb"), "graph");
      await writeFile(join(dir, "plain/variables/data"), new Uint8Array(500_000).fill(7));
      const { status, stderr } = bash(
        dir,
        `set -e
        pf_crypt gen-key -w wrap_key
        pf_crypt encrypt -w wrap_key -i plain/saved_model.pb -o one.pb
        pf_crypt decrypt -V -w wrap_key -i one.pb -o one.txt
        cmp plain/saved_model.pb one.txt
        pf_crypt e --wrap-key=wrap_key --input plain --output models/m/1/
        pf_crypt -wwrap_key -vV d -i models/m/1 -o back
        diff -r plain back
        test "$(stat -c %a wrap_key)" = 600`,
      );
      assert.equal(status, 0, stderr);
      const { wrapKey } = await readKeyFile(join(dir, "wrap_key"));
      const sealed = new Uint8Array(await readFile(join(dir, "models/m/1/variables/data")));
      assert.equal(openFile(sealed, { wrapKey, boundPath: "models/m/1/variables/data" }).length, 500_000);
    }));

  test("stops where the stock tool would have gone on or overwritten", () =>
    inDirectory(async (dir) => {
      const { stdout, stderr } = bash(
        dir,
        `pf_crypt g -w k >&2
        tell() { "$@" >out.txt 2>err.txt; echo "$? $(cut -d: -f1 err.txt | head -n 1)"; }
        echo text >plain
        tell pf_crypt encrypt -w k -i missing -o sealed
        tell pf_crypt gen-key -w k
        pf_crypt encrypt -w k -i plain -o sealed >&2
        tell pf_crypt encrypt -w k -i plain -o sealed
        tell pf_crypt encrypt -w k -i plain -o sealed --force
        cp sealed elsewhere
        tell pf_crypt decrypt -V -w k -i elsewhere -o out
        tell pf_crypt decrypt -w k -i elsewhere -o out
        tell pf_crypt encrypt -w k -i plain
        tell pf_crypt frobnicate -w k
        tell pf_crypt encrypt -x`,
      );
      const told = stdout.trim().split("\n");
      assert.deepEqual(
        told.map((line) => line.trim()),
        [
          "1 INPUT_MISSING",
          "1 OUTPUT_EXISTS",
          "1 OUTPUT_EXISTS",
          "0",
          "1 PATH_MISMATCH",
          "0",
          "2 USAGE",
          "2 USAGE",
          "2 USAGE",
        ],
        stderr,
      );
      assert.equal((await readdir(dir)).includes("missing"), false);
    }));

  test("a damaged file leaves no output behind", () =>
    inDirectory(async (dir) => {
      const one = vector("s396289");
      const bytes = await readFile(join(vectors, one.file));
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      await writeFile(join(dir, "damaged"), bytes);
      await writeFile(join(dir, "k"), Buffer.from(one.key_hex, "hex"), { mode: 0o600 });
      const { status, stderr } = bash(dir, "pf_crypt decrypt -w k -i damaged -o out");
      assert.equal(status, 1);
      assert.match(stderr, /^DATA_NODE_NOT_AUTHENTIC: /);
      assert.deepEqual((await readdir(dir)).sort(), ["damaged", "k"]);
    }));

  test("stock files open, with a warning about a key that others can read", () =>
    inDirectory(async (dir) => {
      await mkdir(join(dir, "files"));
      const wanted = ["s0", "s3073", "s1048576", "v2-s396289"].map(vector);
      await writeFile(join(dir, "k"), Buffer.from(wanted[0]?.key_hex ?? "", "hex"));
      await chmod(join(dir, "k"), 0o644);
      for (const one of wanted) await writeFile(join(dir, one.file), await readFile(join(vectors, one.file)));
      const { status, stdout, stderr } = bash(dir, "pf_crypt decrypt -V -w k -i files -o out --json");
      assert.equal(status, 0, stderr);
      assert.match(stderr, /^warning: k can be read by others/);
      assert.equal((JSON.parse(stdout) as { files: unknown[] }).files.length, wanted.length);
      for (const one of wanted) {
        const plaintext = await readFile(join(dir, one.file.replace("files/", "out/")));
        assert.equal(sha256(plaintext), one.plaintext_sha256, one.name);
        assert.equal((await stat(join(dir, one.file.replace("files/", "out/")))).mode & 0o777, 0o600);
      }
    }));

  test("an interrupted decryption takes its temporary file with it", () =>
    inDirectory(async (dir) => {
      await writeFile(join(dir, "k"), Buffer.alloc(16, 1), { mode: 0o600 });
      await writeFile(join(dir, "plain"), Buffer.alloc(150_000_000));
      const { stdout, stderr } = bash(
        dir,
        `pf_crypt e -w k -i plain -o sealed >&2
        "${process.execPath}" "${main}" seal pf-crypt d -w k -i sealed -o out >&2 &
        until ls -A | grep -q '^.out'; do sleep 0.01; done
        kill -INT $!
        wait $!
        echo $?`,
      );
      assert.equal(stdout.trim(), "1", stderr);
      assert.match(stderr, /ABORTED: /);
      assert.deepEqual((await readdir(dir)).sort(), ["k", "plain", "sealed"]);
    }));

  test("a path to bind that is not in normal form is bound in it, with a warning", () =>
    inDirectory(async (dir) => {
      await writeFile(join(dir, "plain"), "x");
      const { status, stderr } = bash(
        dir,
        "pf_crypt g -w k && pf_crypt e -w k -i plain -o ./sealed && pf_crypt d -V -w k -i sealed -o b",
      );
      assert.equal(status, 0, stderr);
      assert.match(stderr, /warning: the path to bind was not in normal form; bound to sealed/);
    }));
});

suite("the words of getopt", () => {
  test("options may stand anywhere, joined, cut short, or behind the end mark as operands", () => {
    const words = parsePfCryptWords(["-vwKEY", "enc", "--in=a=b", "-o", "-x", "--", "-h"]);
    assert.deepEqual(words, {
      operands: ["enc", "-h"],
      options: { verbose: true, "wrap-key": "KEY", input: "a=b", output: "-x" },
    });
  });

  for (const [why, argv] of [
    ["an unknown letter", ["-vx"]],
    ["an unknown name", ["--nothing"]],
    ["a name that is cut too short", ["--ver"]],
    ["a value that is missing", ["encrypt", "-i"]],
    ["a value for a flag", ["--verify=yes"]],
  ] as const) {
    test(`${why} is wrong`, () => {
      assert.ok("wrong" in parsePfCryptWords(argv));
    });
  }
});
