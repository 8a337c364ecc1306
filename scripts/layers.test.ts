import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";

const ROOT = resolve(import.meta.dirname, "..");

// The rule is configuration, so it is tested by running the linter over files that break it.
describe("package arrows", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cloister-arrows-"));
    await cp(join(ROOT, "oxlint.config.ts"), join(folder, "oxlint.config.ts"));
    await cp(join(ROOT, "tsconfig.json"), join(folder, "tsconfig.json"));
    await mkdir(join(folder, "scripts"));
    await cp(join(ROOT, "scripts/layers.ts"), join(folder, "scripts/layers.ts"));
    await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  });
  after(() => rm(folder, { recursive: true }));

  async function lint(path: string, source: string): Promise<string> {
    const file = join(folder, path);
    await mkdir(resolve(file, ".."), { recursive: true });
    await writeFile(file, source);
    return new Promise((done) => {
      const args = [join(ROOT, "node_modules/oxlint/bin/oxlint"), "-c", join(folder, "oxlint.config.ts"), file];
      execFile(process.execPath, args, { cwd: folder }, (error, stdout) => done(error === null ? "" : stdout));
    });
  }

  for (const [what, path, source] of [
    ["a reversed import", "packages/encoding/src/a.ts", 'export { startBroker } from "@cloister/broker";\n'],
    ["a reversed import of a sub-path", "packages/policy/src/a.ts", 'export * from "@cloister/broker/client";\n'],
    ["a reversed import in a test", "packages/policy/src/a.test.ts", 'export * from "@cloister/broker";\n'],
    ["another package by its path", "packages/cli/src/a.ts", 'export * from "../../encoding/src/bytes.ts";\n'],
    ["files in a pure package", "packages/encoding/src/b.ts", 'export { readFile } from "node:fs/promises";\n'],
    ["a socket outside of a rim", "packages/attestation/src/b.ts", 'export { connect } from "node:net";\n'],
    ["its own rim in a pure module", "packages/attestation/src/c.ts", 'export * from "./rim/client.ts";\n'],
  ] as const) {
    test(`fail lint for ${what}`, async () => {
      assert.match(await lint(path, source), /no-restricted-imports/);
    });
  }

  for (const [what, path, source] of [
    ["an import of an earlier package", "packages/broker/src/a.ts", 'export { toHex } from "@cloister/encoding";\n'],
    ["files in a rim", "packages/attestation/src/rim/a.ts", 'export { readFile } from "node:fs/promises";\n'],
  ] as const) {
    test(`let ${what} pass`, async () => {
      assert.equal(await lint(path, source), "");
    });
  }
});
