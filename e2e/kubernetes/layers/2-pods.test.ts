// Real pods on two nodes: what a user does with the command line, under load, and what goes wrong on a bad day.
import assert from "node:assert/strict";
import { join } from "node:path";
import { createServer, type Server } from "node:tls";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAuthority, generatePrivateKey, issueServerCertificate } from "@cloister/broker/certificates";
import { listPods, type ReplicaPod } from "@cloister/deploy/cluster";
import { connectRig, type ConnectedRig, installGatewayApi } from "../rig/connected.ts";
import { NETWORK, programPath } from "../rig/layout.ts";
import { run, waitFor } from "../rig/process.ts";
import { NAMESPACE, SERVING_NAME, startWorld, type World } from "../rig/world.ts";

const SLOW_MS = 600_000;
const WHICH = { namespace: NAMESPACE, name: "serving" };

let rig: ConnectedRig;
let world: World;
let intruder: Server | undefined;

before(async () => {
  rig = await connectRig();
  await installGatewayApi(rig);
  world = await startWorld(rig);
});
after(async () => {
  intruder?.close();
  await world.close();
});

const cluster = () => ["--config", world.configFile, "--kubeconfig", rig.kubeconfig, "--json"];
const apply = async (...more: string[]) =>
  JSON.parse(
    await world.cli(
      ...["deploy", "apply", ...cluster(), "--enclave-manifest", world.manifestFile],
      ...["--simulated-platform", world.platformFile, "--force", ...more],
    ),
  ) as { replicas: ReplicaPod[]; changes: { object: string; change: string }[] };
const scale = (replicas: number) => world.cli("deploy", "scale", String(replicas), ...cluster());
const trust = () => [
  ...["--address", `${world.gateway.host}:${world.gateway.port}`],
  ...["--requester", world.requesterFolder, "--server-name", SERVING_NAME],
];
const readyPods = async () => (await listPods(rig.api, WHICH)).filter(({ state }) => state === "READY");
/** The gateway follows the cluster at a distance. */
const settle = () => sleep(2000);

test("apply brings a replica to READY, admitted by the broker with a log entry of its own; again it changes nothing", async () => {
  const { replicas } = await apply();
  assert.equal(replicas.length, 1);
  assert.equal(replicas[0]?.state, "READY");
  assert.equal(await world.releases(), 1);
  const again = await apply();
  assert.deepEqual(
    again.changes.filter(({ change }) => change !== "unchanged"),
    [],
  );
});

test("readiness waits for the broker: without it a replica takes no requests, and becomes ready when it is back", async () => {
  await world.stopBroker();
  await rig.kubectl("-n", NAMESPACE, "scale", "deployment", "serving", "--replicas=2");
  await waitFor("a replica that waits", async () => {
    const pods = await listPods(rig.api, WHICH);
    return pods.find(({ state }) => state === "Attesting");
  });
  await settle();
  assert.equal((await readyPods()).length, 1);
  const load = await world.underLoad(4, () => sleep(2000));
  assert.equal(load.failed, 0, "who was admitted before goes on serving");
  assert.equal(load.replicas.size, 1);
  await world.startBroker();
  await waitFor("the second replica", async () => ((await readyPods()).length === 2 ? true : undefined), SLOW_MS);
  await scale(1);
});

for (const most of [4, 10]) {
  test(`1 -> ${most} -> 1 replicas under load: no request fails, new replicas take load, each was released a key on its own`, async () => {
    const before = await world.releases();
    const load = await world.underLoad(8, async (firstAnswers) => {
      await scale(most);
      assert.equal((await readyPods()).length, most);
      // Connections are ended after 3 s and made anew: balanced by connection, every replica gets its turn.
      await waitFor("requests on every replica", async () => (firstAnswers.size >= most ? true : undefined), SLOW_MS);
      await scale(1);
      await sleep(1000);
    });
    assert.equal(load.failed, 0, JSON.stringify([...load.errors]));
    assert.equal((await world.releases()) - before, most - 1);
  });
}

test("verify attests every replica through the passthrough gateway, and status shows them", async () => {
  await scale(3);
  await settle();
  const report = JSON.parse(await world.cli("deploy", "verify", ...cluster(), ...trust())) as {
    replicas: { replica: string; simulated: boolean; publicKeySha256: string }[];
  };
  const names = (await readyPods()).map(({ name }) => name);
  assert.deepEqual(report.replicas.map(({ replica }) => replica).sort(), names);
  assert.ok(report.replicas.every(({ simulated }) => simulated));
  assert.equal(
    new Set(report.replicas.map(({ publicKeySha256 }) => publicKeySha256)).size,
    3,
    "each has a key of its own",
  );
  const status = JSON.parse(await world.cli("deploy", "status", ...cluster(), ...trust())) as {
    replicas: {
      state: string;
      platform: string;
      attested: boolean;
      tcbStatus: string;
      model: { name: string };
      requests: number;
    }[];
  };
  assert.equal(status.replicas.length, 3);
  for (const replica of status.replicas) {
    assert.equal(replica.state, "READY");
    assert.equal(replica.platform, "SIMULATED");
    assert.equal(replica.attested, true);
    assert.equal(replica.tcbStatus, "UpToDate");
    assert.equal(replica.model.name, "digits");
    assert.ok(Number.isInteger(replica.requests));
  }
  const logs = await world.cli("deploy", "logs", ...cluster());
  assert.match(logs, /"event\\?":\\?"ready/);
});

test("verify fails when somebody else answers in a replica's place", async () => {
  const now = new Date();
  const authority = createAuthority({ name: "somebody else", now, days: 1 });
  const key = generatePrivateKey("p256");
  const { chain } = issueServerCertificate({
    authority,
    subject: { publicKey: key.publicKey },
    now,
    dnsNames: [SERVING_NAME],
    days: 1,
  });
  const pem = new TextDecoder().decode(key.toPem().reveal());
  intruder = createServer({ key: pem, cert: chain, ALPNProtocols: ["h2"] }, (socket) =>
    socket.on("error", () => undefined),
  );
  await new Promise<void>((resolve) => intruder?.listen(0, NETWORK.controlPlane, resolve));
  const { port } = intruder.address() as { port: number };
  world.setIntruders([{ id: "impostor", host: NETWORK.controlPlane, port }]);
  await settle();
  await assert.rejects(world.cli("deploy", "verify", ...cluster(), ...trust()), /IMPOSTOR_FOUND/);
  world.setIntruders([]);
  await settle();
});

test("a new version rolls out under load without a failed request", async () => {
  await scale(3);
  const old = new Set((await readyPods()).map(({ name }) => name));
  const load = await world.underLoad(8, async () => {
    world.configure({ maxConnectionAge: "9s" });
    const { replicas } = await apply();
    assert.ok(replicas.filter(({ state }) => state === "READY").every(({ name }) => !old.has(name)));
  });
  assert.equal(load.failed, 0, JSON.stringify([...load.errors]));
});

test("a drain moves replicas one at a time, as the disruption budget says, without a failed request", async () => {
  await scale(3);
  const load = await world.underLoad(8, async () => {
    await rig.kubectl("drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=300s");
    await waitFor(
      "three replicas on the other node",
      async () => {
        const ready = await readyPods();
        return ready.length === 3 && ready.every(({ node }) => node === "node-1") ? true : undefined;
      },
      SLOW_MS,
    );
  });
  assert.equal(load.failed, 0, JSON.stringify([...load.errors]));
  await rig.kubectl("uncordon", "node-2");
});

test("the autoscaler takes more replicas while calls pile up, and fewer afterwards", async () => {
  world.configure({
    replicas: { minimum: 1, maximum: 4 },
    autoscaling: { kind: "calls", callsPerReplica: 2, cpu: false, scaleDown: "30s" },
  });
  await apply();
  const one = () => waitFor("a scale-down", async () => ((await readyPods()).length === 1 ? true : undefined), SLOW_MS);
  await one();
  const load = await world.underLoad(24, async () => {
    await waitFor("a scale-up by real load", async () => ((await readyPods()).length >= 3 ? true : undefined), SLOW_MS);
  });
  assert.equal(load.failed, 0, JSON.stringify([...load.errors]));
  await one();
});

test("a node that is lost loses no request: its replicas come back on the other one, each attested anew", async () => {
  world.configure({ replicas: { minimum: 4, maximum: 4 }, autoscaling: { kind: "none" } });
  await rig.kubectl("-n", NAMESPACE, "delete", "hpa", "serving", "--ignore-not-found");
  await scale(4);
  const before = await world.releases();
  const onSecond = (await readyPods()).filter(({ node }) => node === "node-2").length;
  assert.ok(onSecond > 0, "replicas are spread over the nodes");
  const load = await world.underLoad(8, async () => {
    rig.killNode("node-2");
    await waitFor(
      "four replicas on the node that is left",
      async () => {
        const ready = await readyPods();
        return ready.filter(({ node }) => node === "node-1").length === 4 ? true : undefined;
      },
      SLOW_MS,
    );
  });
  assert.equal(load.failed, 0, JSON.stringify([...load.errors]));
  assert.equal((await world.releases()) - before, onSecond);
});

test("delete leaves nothing behind", async () => {
  await rig.kubectl("delete", "node", "node-2");
  await world.cli("deploy", "delete", ...cluster());
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
      ...["deploy", "render", "--config", world.configFile, "--enclave-manifest", world.manifestFile],
      ...["--format", "helm", "--output", chart],
    );
    const helmRun = (...args: string[]) =>
      run(programPath(helm), [...args, "--kubeconfig", rig.kubeconfig], { HOME: rig.folder });
    await helmRun("install", "cloister", chart);
    await rig.kubectl(
      ...["-n", `${namespace}-simulated-sgx`, "create", "secret", "generic", "simulated-platform"],
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
