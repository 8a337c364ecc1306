import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelServerError } from "../errors.ts";
import { chooseVersions, readModelConfigText } from "./model-config.ts";

const config = (body: string) => `model_config_list { config { ${body} } }`;
const refuses = (text: string, message: RegExp) =>
  assert.throws(
    () => readModelConfigText(text),
    (error: unknown) =>
      error instanceof ModelServerError && error.code === "INVALID_ARGUMENT" && message.test(error.explanation.what),
  );

test("a model config file as upstream's tests write it is read", () => {
  const models = readModelConfigText(`model_config_list: {
    config: { name: "half_plus_two", base_path: "/models/two", model_platform: "tensorflow" },
    config: {
      name: "half_plus_three", base_path: "/models/three", model_platform: "tensorflow",
      model_version_policy { specific { versions: 1 versions: 2 } }
      version_labels { key: "stable" value: 1 }
    }
  }`);
  assert.deepEqual(models, [
    { name: "half_plus_two", basePath: "/models/two", policy: { kind: "latest", count: 1 }, labels: new Map() },
    {
      name: "half_plus_three",
      basePath: "/models/three",
      policy: { kind: "specific", versions: [1n, 2n] },
      labels: new Map([["stable", 1n]]),
    },
  ]);
});

test("configurations that TensorFlow Serving refuses are refused", () => {
  refuses("improperly formatted file\n", /^Invalid protobuf file/);
  refuses("", /Only ModelConfigList/);
  refuses(config('base_path: "/m" model_platform: "tensorflow"'), /to have a name/);
  refuses(config('name: "m" base_path: "relative" model_platform: "tensorflow"'), /absolute path or URI/);
  refuses(config('name: "m" base_path: "/m" model_platform: "other"'), /model_platform/);
  refuses(config('name: "m" base_path: "/m"'), /model_platform/);
  const logged = "logging_config { sampling_config { sampling_rate: 0.1 } }";
  refuses(config(`name: "m" base_path: "/m" model_platform: "tensorflow" ${logged}`), /^No request-logger-creator/);
  const twice = 'config { name: "m" base_path: "/m" model_platform: "tensorflow" }';
  refuses(`model_config_list { ${twice} ${twice} }`, /multiple times/);
});

test("policies choose the latest, all, or specific versions", () => {
  const present = [1n, 12n, 3n];
  assert.deepEqual(chooseVersions(present, { kind: "latest", count: 1 }), [12n]);
  assert.deepEqual(chooseVersions(present, { kind: "latest", count: 2 }), [12n, 3n]);
  assert.deepEqual(chooseVersions(present, { kind: "all" }), [12n, 3n, 1n]);
  assert.deepEqual(chooseVersions(present, { kind: "specific", versions: [3n, 4n] }), [3n]);
});
