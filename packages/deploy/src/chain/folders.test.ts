import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { DeployError } from "../errors.ts";
import { prepareFolders, releaseFolders } from "./folders.ts";

const hasCode = (code: string) => (error: unknown) => error instanceof DeployError && error.code === code;

describe("work folders", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "cloister-folders-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  test("a run empties what an earlier run left", async () => {
    const first = await prepareFolders(root);
    await writeFile(join(first.host, "old"), "");
    await releaseFolders(first);
    const second = await prepareFolders(root);
    assert.deepEqual(await readdir(second.host), []);
  });

  test("a folder with somebody's content is left alone", async () => {
    await writeFile(join(root, "thesis.txt"), "");
    await assert.rejects(prepareFolders(root), hasCode("WORK_FOLDER_NOT_OURS"));
    assert.deepEqual(await readdir(root), ["thesis.txt"]);
  });

  test("a folder that a living process uses is refused", async () => {
    await prepareFolders(root);
    await writeFile(join(root, "made-by-cloister-up"), String(process.ppid));
    await assert.rejects(prepareFolders(root), hasCode("WORK_FOLDER_IN_USE"));
  });

  test("the marker of a process that is gone does not block", async () => {
    await prepareFolders(root);
    await writeFile(join(root, "made-by-cloister-up"), "999999999");
    await prepareFolders(root);
  });
});
