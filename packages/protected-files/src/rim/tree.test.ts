import assert from "node:assert/strict";
import { mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { rejectsCode } from "./test-assert.ts";
import { inDirectory } from "./test-directory.ts";
import { listTree, readTree, writeTreeAtomically } from "./tree.ts";

const files = new Map([
  ["a.txt", utf8("a")],
  ["deep/er/b.txt", utf8("b")],
]);

suite("trees", () => {
  test("what is written is read back, whatever the depth", () =>
    inDirectory(async (dir) => {
      const target = join(dir, "new", "tree");
      await writeTreeAtomically(target, files);
      const read = [...(await readTree(target))].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]);
      assert.deepEqual(read, [
        ["a.txt", "a"],
        ["deep/er/b.txt", "b"],
      ]);
      assert.deepEqual(await readdir(join(dir, "new")), ["tree"]);
    }));

  test("a directory that is there is replaced only when asked, and then wholly", () =>
    inDirectory(async (dir) => {
      const target = join(dir, "tree");
      await writeTreeAtomically(target, files);
      const other = new Map([["c.txt", utf8("c")]]);
      await rejectsCode(writeTreeAtomically(target, other), "OUTPUT_EXISTS", target);
      await writeTreeAtomically(target, other, { replace: true, mode: 0o600 });
      assert.deepEqual([...(await readTree(target)).keys()], ["c.txt"]);
      assert.equal((await stat(join(target, "c.txt"))).mode & 0o777, 0o600);
      assert.deepEqual(await readdir(dir), ["tree"]);
    }));

  test("paths that leave the directory are refused before anything is written", () =>
    inDirectory(async (dir) => {
      for (const path of ["../x", "/x", "a/../../x", "a//b"]) {
        await rejectsCode(writeTreeAtomically(join(dir, "t"), new Map([[path, utf8("x")]])), "TREE_PATH_UNSAFE", path);
      }
      assert.deepEqual(await readdir(dir), []);
    }));

  test("links are refused by default and followed on request; loops end at the depth limit", () =>
    inDirectory(async (dir) => {
      await mkdir(join(dir, "real"));
      await writeFile(join(dir, "real", "f"), "x");
      await symlink("real", join(dir, "link"));
      await rejectsCode(listTree(dir), "INPUT_NOT_REGULAR", "link");
      const paths = (await listTree(dir, { followLinks: true })).map((file) => file.path);
      assert.deepEqual(paths, ["link/f", "real/f"]);
      await symlink(".", join(dir, "loop"));
      await rejectsCode(listTree(dir, { followLinks: true, maxDepth: 8 }), "TREE_TOO_LARGE");
    }));

  test("limits on files and bytes hold", () =>
    inDirectory(async (dir) => {
      const target = join(dir, "tree");
      await writeTreeAtomically(target, files);
      await rejectsCode(readTree(target, { maxFiles: 1 }), "TREE_TOO_LARGE");
      await rejectsCode(readTree(target, { maxBytes: 1 }), "TREE_TOO_LARGE");
      await rejectsCode(readTree(join(dir, "missing")), "INPUT_MISSING");
    }));
});
