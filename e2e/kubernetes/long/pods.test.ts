// Longer stories on real pods: `node e2e/kubernetes/main.ts test e2e/kubernetes/long/pods.test.ts`. The last node but one is lost in them.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listPods } from "@cloister/deploy/cluster";
import { programPath } from "../rig/layout.ts";
import { run, waitFor } from "../rig/process.ts";
import { setStage, SLOW_MS, type Stage, WHICH } from "../rig/steps.ts";
import { NAMESPACE } from "../rig/world.ts";

let rig: Stage["rig"];
let world: Stage["world"];
let steps: Stage["steps"];

before(async () => {
  ({ rig, world, steps } = await setStage());
  await steps.apply();
});
after(() => world.close());

{
  const most = 10;
  test(`1 -> ${most} -> 1 replicas under load: no request fails, new replicas take load, each was released a key on its own`, async () => {
    const before = await steps.countReleases();
    await steps.underAuditedLoad(8, async (firstAnswers) => {
      await steps.scale(most);
      assert.equal((await steps.readyPods()).length, most);
      await steps.settle();
      assert.equal((await steps.verify()).length, most);
      // Replicas end connections of `maxConnectionAge`, and clients make new ones: balanced by connection, every replica gets its turn.
      await waitFor("requests on every replica", async () => (firstAnswers.size >= most ? true : undefined), SLOW_MS);
      await steps.scale(1);
      await sleep(1000);
    });
    assert.ok((await steps.countReleases()) - before >= most - 1);
  });
}

test("a broker killed during a scale-up: no request fails, every replica gets its key later, none without an entry in the log", async () => {
  const most = 5;
  await steps.scale(1);
  const before = await steps.countReleases();
  await steps.underAuditedLoad(8, async () => {
    await rig.kubectl("-n", NAMESPACE, "scale", "deployment", "serving", `--replicas=${most}`);
    // In the middle: somebody has a key, and others are on their way.
    await waitFor("a release", async () => ((await steps.countReleases()) > before ? true : undefined), SLOW_MS);
    await world.owner.stopBroker("SIGKILL");
    const waits = async () => (await listPods(rig.api, WHICH)).find(({ state }) => state === "Attesting");
    await waitFor("a replica that waits for the broker", waits, SLOW_MS);
    await world.owner.startBroker();
    const all = async () => ((await steps.readyPods()).length === most ? true : undefined);
    await waitFor("all replicas", all, SLOW_MS);
  });
  await steps.settle();
  assert.equal((await steps.verify()).length, most);
});

test("a node that is lost loses no request: its replicas come back on the other one, each attested anew", async () => {
  world.configure({ replicas: { minimum: 4, maximum: 4 }, autoscaling: { kind: "none" } });
  await steps.scale(4);
  const before = await steps.countReleases();
  const onSecond = (await steps.readyPods()).filter(({ node }) => node === "node-2").length;
  assert.ok(onSecond > 0, "replicas are spread over the nodes");
  await steps.underAuditedLoad(8, async () => {
    rig.killNode("node-2");
    await waitFor(
      "four replicas on the node that is left",
      async () => {
        const ready = await steps.readyPods();
        return ready.filter(({ node }) => node === "node-1").length === 4 ? true : undefined;
      },
      SLOW_MS,
    );
  });
  assert.ok((await steps.countReleases()) - before >= onSecond);
});

test("delete leaves nothing behind", async () => {
  await rig.kubectl("delete", "node", "node-2");
  await world.cli("deploy", "delete", ...steps.cluster());
  const selector = `cloister.local/namespace=${NAMESPACE}`;
  const kinds =
    "namespaces,clusterroles,clusterrolebindings,apiservices,validatingadmissionpolicies,validatingadmissionpolicybindings";
  assert.equal(await rig.kubectl("get", kinds, "-l", selector, "-o", "name"), "");
  assert.equal(await rig.kubectl("get", "all,secrets,configmaps", "-A", "-l", selector, "-o", "name"), "");
});

for (const helm of ["helm3", "helm4"] as const) {
  test(`${helm} install brings a replica to READY, and uninstall leaves nothing behind`, async () => {
    const namespace = `by-${helm}`;
    world.configure({
      namespace,
      gateway: { kind: "none" },
      modelDelivery: { kind: "host-path", path: world.modelsFolder },
    });
    const chart = join(rig.folder, `chart-${helm}`);
    await world.cli(
      "deploy",
      "render",
      "--config",
      world.configFile,
      "--enclave-manifest",
      world.owner.manifestFile,
      "--format",
      "helm",
      "--output",
      chart,
    );
    const helmRun = (...args: string[]) =>
      run(programPath(helm), [...args, "--kubeconfig", rig.kubeconfig], { HOME: rig.folder });
    await helmRun("install", "cloister", chart);
    await rig.kubectl(
      "-n",
      `${namespace}-simulated-sgx`,
      "create",
      "secret",
      "generic",
      "simulated-platform",
      `--from-file=platform.json=${world.platformFile}`,
    );
    await waitFor(
      "a replica that Helm installed",
      async () => (await listPods(rig.api, { namespace, name: "serving" })).find(({ state }) => state === "READY"),
      SLOW_MS,
    );
    await helmRun("uninstall", "cloister", "--wait", "--timeout", "5m");
    await waitFor("the end of the namespaces", async () => {
      const left = await rig.kubectl("get", "namespaces", "-o", "name");
      return left.includes(namespace) ? undefined : true;
    });
    const kinds = "clusterroles,clusterrolebindings,validatingadmissionpolicies";
    assert.equal(await rig.kubectl("get", kinds, "-l", `cloister.local/namespace=${namespace}`, "-o", "name"), "");
  });
}
