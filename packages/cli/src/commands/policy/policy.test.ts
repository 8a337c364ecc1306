import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EXIT } from "../../output/exit-code.ts";
import { run } from "../../program.ts";

const RA_CONFIG = {
  verify_mr_enclave: "on",
  verify_mr_signer: "on",
  verify_isv_prod_id: "on",
  verify_isv_svn: "on",
  mrs: [{ mr_enclave: "e1".repeat(32), mr_signer: "51".repeat(32), isv_prod_id: "0", isv_svn: "2" }],
};

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "policy-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = (name: string): string => join(folder, name);
  const json = async (args: readonly string[]): Promise<{ code: number; data: unknown }> => {
    let text = "";
    const { mock } = t.mock.method(process.stdout, "write", (chunk: string) => {
      text += chunk;
      return true;
    });
    const code = await run([...args, "--json"]);
    mock.restore();
    return { code, data: JSON.parse(text) as unknown };
  };
  return { path, json, write: (name: string, text: string) => writeFile(path(name), text) };
}

test("the original's file is imported, explained, and what comes out is a policy", async (t) => {
  const { path, json, write } = await setUp(t);
  await write("ra_config.json", JSON.stringify(RA_CONFIG));
  const imported = await json(["policy", "import", path("ra_config.json"), "--output", path("policy.json")]);
  assert.equal(imported.code, EXIT.done);
  const { notes } = imported.data as { notes: { what: string; why: string }[] };
  assert.ok(notes.length >= 4 && notes.every(({ what, why }) => what.length > 0 && why.length > 0));
  assert.equal((await json(["policy", "check", path("policy.json")])).code, EXIT.done);
  await write("on.json", JSON.stringify({ ...RA_CONFIG, verify_mr_enclave: true }));
  assert.equal((await json(["policy", "import", path("on.json")])).code, EXIT.refused);
});

test("a diff names paths, and files that are no policy are refused with the place", async (t) => {
  const { path, json, write } = await setUp(t);
  await write("ra_config.json", JSON.stringify(RA_CONFIG));
  await json(["policy", "import", path("ra_config.json"), "--output", path("a.json")]);
  const text = await readFile(path("a.json"), "utf8");
  await write("b.json", text.replace('"keyId": "default"', '"keyId": "models/digits/1"'));
  const { data } = await json(["policy", "diff", path("a.json"), path("b.json")]);
  const [change] = (data as { changes: { path: string }[] }).changes;
  assert.equal(change?.path, "workloads.serving.secrets.keyId");
  await write("c.json", text.replace('"debug": false', '"debug": "no"'));
  const refused = await json(["policy", "check", path("c.json")]);
  assert.equal(refused.code, EXIT.refused);
  assert.match(JSON.stringify(refused.data), /POLICY_MALFORMED.*workloads\.0\.debug/);
  await write("d.yaml", "schema: [\n");
  assert.match(JSON.stringify(await json(["policy", "check", path("d.yaml")])), /FILE_MALFORMED/);
});
