import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { LAYERS } from "./layers.ts";

const ROOT = resolve(import.meta.dirname, "..");

/** Runs a package with these test files, and resolves with how the run ended and what it printed. */
async function runPackage(t: TestContext, files: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), "cloister-together-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "src"));
  const runner = JSON.stringify(join(ROOT, "scripts/test-together.ts"));
  const all = `import { testTogether } from ${runner};\nawait testTogether(import.meta.dirname);\n`;
  await writeFile(join(folder, "all.test.mts"), all);
  for (const [name, body] of Object.entries(files)) {
    const source = `import { after, before, test } from "node:test";\n${body}\n`;
    await writeFile(join(folder, "src", `${name}.test.ts`), source);
  }
  // Node tells a test file's own process by this variable, and runs no tests in a test.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", "all.test.mts"], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  return { status, stdout };
}

const GOOD = 'test("the good one", () => {});';

describe("a package's tests in one process", () => {
  test("are those of every package but cli, whose tests catch the process's output", () => {
    for (const name of LAYERS.filter((name) => name !== "cli"))
      assert.ok(existsSync(join(ROOT, "packages", name, "all.test.ts")), name);
  });

  test("pass together, each file with its own hooks", async (t) => {
    const hooks = "before(() => { globalThis.inB = true; }); after(() => { globalThis.inB = false; });";
    const expect = (inB: boolean): string =>
      `test("hooks", () => { if ((globalThis.inB === true) !== ${inB}) throw new Error(); });`;
    const { status, stdout } = await runPackage(t, {
      a: expect(false),
      b: `${hooks}\n${expect(true)}`,
      c: expect(false),
    });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^# pass 3$/m);
  });

  for (const [what, body] of [
    ["fails", 'test("a bad one", () => { throw new Error("no"); });'],
    ["cannot be loaded", 'import "./nowhere.ts";'],
    ["throws when it is late", `setTimeout(() => { throw new Error("late"); });\n${GOOD}`],
  ] as const) {
    test(`fail for a file that ${what}, and those after it run`, async (t) => {
      const { status, stdout } = await runPackage(t, { a: GOOD, b: body, c: GOOD });
      assert.equal(status, 1);
      assert.match(stdout, /^(not ok \d+ - |# Error: Test ")src\/b\.test\.ts/m);
      assert.match(stdout, /^ok \d+ - src\/c\.test\.ts/m);
    });
  }

  test("fail for a file that ends the process, with whatever code", async (t) => {
    const { status } = await runPackage(t, { a: GOOD, b: 'test("it ends", () => process.exit(0));', c: GOOD });
    assert.equal(status, 1);
  });
});
