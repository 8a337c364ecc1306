import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { testCertificates } from "@cloister/model-server/testing";
import { generateResNet50, importFrozenGraph } from "@cloister/saved-model";
import { ROOT } from "../support/chain.ts";
import { spawnServe, writeSslConfig } from "../support/serve.ts";

// Needs a Python with TensorFlow and the official TensorFlow Serving stubs: CLOISTER_ORACLE_PYTHON names it.

const run = promisify(execFile);
const NAME = "resnet50-v15-fp32";

for (const mode of ["one-way", "mutual"] as const) {
  test(`the original's benchmark client gets its answers over ${mode} TLS from its own command line`, async () => {
    const python = process.env["CLOISTER_ORACLE_PYTHON"];
    assert.ok(python !== undefined && python !== "", "CLOISTER_ORACLE_PYTHON is not set");
    const folder = await mkdtemp(join(tmpdir(), "cloister-original-"));
    const file = async (name: string, content: string | Uint8Array): Promise<string> => {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content);
      return join(folder, name);
    };
    const graph = generateResNet50({ imageSize: 224, widthDivisor: 16, seed: 3 });
    for (const [path, bytes] of importFrozenGraph(graph).files) await file(`models/${NAME}/1/${path}`, bytes);
    const { ca, server, client } = testCertificates();
    const ssl = await writeSslConfig(folder, server, mode === "mutual" ? ca : undefined);
    const flags = ["--port=0", "--host=127.0.0.1", `--model_name=${NAME}`, `--ssl_config_file=${ssl}`];
    const serve = await spawnServe(folder, [...flags, `--model_base_path=${join(folder, "models", NAME)}`]);
    try {
      const own = ["-crt", await file("client.pem", client.cert), "-key", await file("client-key.pem", client.key)];
      const trust = await file("ca.pem", ca);
      const { stdout } = await run(python, [
        join(ROOT, "e2e/oracle/original_client.py"),
        ...["-url", `127.0.0.1:${serve.port}`, "-batch", "1", "-cnum", "3", "-loop", "4"],
        ...(mode === "mutual" ? ["-ca", trust, ...own] : ["-crt", trust]),
      ]);
      assert.equal(stdout.match(/^query: secure channel, task \d, batch 1, loop_idx \d, latency\(ms\) /gm)?.length, 12);
      assert.match(
        stdout,
        /^summary: cnum 3, batch 1, e2e time\(s\) [\d.]+, average latency\(ms\) [\d.]+, tps: [\d.]+$/m,
      );
      assert.match(stdout, /'dtype': 'DT_FLOAT', 'tensorShape': \{'dim': \[\{'size': '1'\}, \{'size': '1001'\}\]\}/);
    } finally {
      serve.process.kill("SIGTERM");
      await once(serve.process, "exit");
      await rm(folder, { recursive: true });
    }
  });
}
