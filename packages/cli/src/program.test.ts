import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { run } from "./program.ts";

/** Runs a command line in this process, and gives what it wrote. */
async function capture(t: TestContext, words: readonly string[]) {
  const written = { stdout: "", stderr: "" };
  const mocks = (["stdout", "stderr"] as const).map((stream) =>
    t.mock.method(process[stream], "write", (text: string) => {
      written[stream] += text;
      return true;
    }),
  );
  const code = await run(words);
  for (const { mock } of mocks) mock.restore();
  return { code, ...written };
}

const GROUPS = [
  "",
  "broker keys",
  "model",
  "enclave",
  "policy",
  "log",
  "certs",
  "attest",
  "attest collateral",
  "gateway",
  "deploy",
];

for (const group of GROUPS) {
  const words = group === "" ? [] : group.split(" ");
  test(`cloister ${group} without a command of the group is wrong usage, and its help is not`, async (t) => {
    const bare = await capture(t, words);
    assert.deepEqual([bare.code, bare.stdout], [2, ""]);
    assert.match(bare.stderr, /^Usage: /);
    const help = await capture(t, [...words, "--help"]);
    assert.deepEqual([help.code, help.stderr], [0, ""]);
    assert.match(help.stdout, /^Usage: /);
  });
}

test("the version that was asked for is no wrong usage", async (t) => {
  assert.deepEqual(await capture(t, ["--version"]), { code: 0, stdout: "0.1.0\n", stderr: "" });
});
