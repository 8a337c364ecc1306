import assert from "node:assert/strict";
import { test } from "node:test";
import { UP_SECTION } from "./commands/up/options.ts";
import { ConfigError, parseSection, readSection } from "./config.ts";

const isInvalid = (error: unknown): boolean => error instanceof ConfigError && error.code === "CONFIG_INVALID";

test("an empty configuration is the default", () => {
  assert.equal(parseSection("", UP_SECTION), undefined);
});

test("known keys are read", () => {
  assert.deepEqual(parseSection("up:\n  replicas: 3\n  tls: one-way\n", UP_SECTION), { replicas: 3, tls: "one-way" });
});

for (const [why, text] of [
  ["an unknown key", "up:\n  replica: 3\n"],
  ["an unknown section", "down: {}\n"],
  ["a string where a number belongs", 'up:\n  replicas: "3"\n'],
  ["a port out of range", "up:\n  port: 70000\n"],
  ["text that is not YAML", "up: [\n"],
  ["a list at the top", "- up\n"],
  ["an alias bomb", "a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n"],
] as const) {
  test(`${why} is refused`, () => {
    assert.throws(() => parseSection(text, UP_SECTION), isInvalid);
  });
}

test("a configuration that was named has to exist", async () => {
  await assert.rejects(readSection("no-such-file.yaml", UP_SECTION), (error) => {
    return error instanceof ConfigError && error.code === "CONFIG_NOT_FOUND";
  });
});
