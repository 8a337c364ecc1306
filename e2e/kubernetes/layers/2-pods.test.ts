// Real pods on two nodes: what a user does with the command line, under load, and what goes wrong on a bad day.
import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { createServer, type Server } from "node:tls";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAuthority, generatePrivateKey, issueServerCertificate } from "@cloister/broker/certificates";
import { listPods } from "@cloister/deploy/cluster";
import { NETWORK } from "../rig/layout.ts";
import { waitFor } from "../rig/process.ts";
import { BROKER_PORT } from "../rig/owner.ts";
import { receivedKeys, setStage, SLOW_MS, type Stage, WHICH } from "../rig/steps.ts";
import { NAMESPACE, SERVING_NAME, type Way } from "../rig/world.ts";

let rig: Stage["rig"];
let world: Stage["world"];
let steps: Stage["steps"];
let intruder: Server | undefined;

before(async () => {
  ({ rig, world, steps } = await setStage());
});
after(async () => {
  intruder?.close();
  // The next story's device plugin takes its place on the nodes.
  await world.cli("deploy", "delete", ...steps.cluster());
  await world.close();
});

test("apply brings a replica to READY, admitted by the broker with a log entry of its own; again it changes nothing", async () => {
  const { replicas } = await steps.apply();
  assert.equal(replicas.length, 1);
  assert.equal(replicas[0]?.state, "READY");
  assert.ok((await steps.countReleases()) >= 1);
  await steps.audit(await receivedKeys(rig.api, WHICH));
  await assert.rejects(steps.audit(["00".repeat(32)]), /without an entry/, "the audit of every story can fail");
  const again = await steps.apply();
  assert.deepEqual(
    again.changes.filter(({ change }) => change !== "unchanged"),
    [],
  );
});

for (const kind of ["external-name", "endpoint"] as const) {
  test(`a broker outside of the cluster is found through the Service of the kind ${kind}`, async () => {
    const before = await steps.countReleases();
    const broker = {
      kind,
      host: NETWORK.outside,
      port: BROKER_PORT,
      ...(kind === "endpoint" && { ip: NETWORK.controlPlane }),
    };
    // Pods look the same for both kinds: the name of the kind's Service is in them. Another setting makes new ones.
    world.configure({ broker, maxConnectionAge: kind === "endpoint" ? "6s" : "5s" });
    // It waits until the new replica is READY.
    await steps.apply();
    await steps.audit(await receivedKeys(rig.api, WHICH));
    assert.ok((await steps.countReleases()) > before);
  });
}

test("readiness waits for the broker: without it a replica takes no requests, and becomes ready when it is back", async () => {
  await world.owner.stopBroker();
  await rig.kubectl("-n", NAMESPACE, "scale", "deployment", "serving", "--replicas=2");
  await waitFor("a replica that waits", async () => {
    const pods = await listPods(rig.api, WHICH);
    return pods.find(({ state }) => state === "Attesting");
  });
  await steps.settle();
  assert.equal((await steps.readyPods()).length, 1);
  const load = await steps.underAuditedLoad(4, () => sleep(2000));
  assert.equal(load.replicas.size, 1);
  await world.owner.startBroker();
  await waitFor("the second replica", async () => ((await steps.readyPods()).length === 2 ? true : undefined), SLOW_MS);
  await steps.scale(1);
});

{
  const most = 4;
  test(`1 -> ${most} -> 1 replicas under load: no request fails, new replicas take load, each was released a key on its own`, async () => {
    const before = await steps.countReleases();
    await steps.underAuditedLoad(8, async (firstAnswers) => {
      await steps.scale(most);
      assert.equal((await steps.readyPods()).length, most);
      // Replicas end connections of `maxConnectionAge`, and clients make new ones: balanced by connection, every replica gets its turn.
      await waitFor("requests on every replica", async () => (firstAnswers.size >= most ? true : undefined), SLOW_MS);
      await steps.scale(1);
      await sleep(1000);
    });
    assert.ok((await steps.countReleases()) - before >= most - 1);
  });
}

test("a client that balances on its own over the headless Service comes to every replica, and to those that come later", async () => {
  const dns = new Resolver();
  dns.setServers([NETWORK.controlPlane]);
  const way: Way = {
    address: { host: `serving-headless.${NAMESPACE}.svc.${NETWORK.domain}`, port: 8500 },
    resolve: (name) => dns.resolve4(name),
    maxConnectionAgeMs: 2000,
  };
  await steps.scale(2);
  await steps.underAuditedLoad(
    4,
    async (firstAnswers) => {
      await waitFor("both replicas", async () => (firstAnswers.size === 2 ? true : undefined), SLOW_MS);
      await steps.scale(3);
      await waitFor("the third one", async () => (firstAnswers.size === 3 ? true : undefined), SLOW_MS);
    },
    way,
  );
});

test("verify attests every replica through the passthrough gateway, and status shows them", async () => {
  await steps.scale(3);
  await steps.settle();
  const verified = await steps.verify();
  const names = (await steps.readyPods()).map(({ name }) => name);
  assert.deepEqual(verified.map(({ replica }) => replica).sort(), names);
  assert.ok(verified.every(({ simulated }) => simulated));
  const status = JSON.parse(await world.cli("deploy", "status", ...steps.cluster(), ...steps.trust())) as {
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
  const logs = await world.cli("deploy", "logs", ...steps.cluster());
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
  await steps.settle();
  await assert.rejects(world.cli("deploy", "verify", ...steps.cluster(), ...steps.trust()), /IMPOSTOR_FOUND/);
  world.setIntruders([]);
  await steps.settle();
});

test("a new version rolls out under load without a failed request", async () => {
  await steps.scale(3);
  const old = new Set((await steps.readyPods()).map(({ name }) => name));
  await steps.underAuditedLoad(8, async () => {
    world.configure({ maxConnectionAge: "4s" });
    const { replicas, pruned } = await steps.apply();
    assert.ok(
      pruned.some((path) => path.endsWith("/services/cloister-broker")),
      "the way to the broker is an alias again",
    );
    assert.ok(replicas.filter(({ state }) => state === "READY").every(({ name }) => !old.has(name)));
  });
});

test("a drain moves replicas one at a time, as the disruption budget says, without a failed request", async () => {
  await steps.scale(3);
  await steps.underAuditedLoad(8, async () => {
    await rig.kubectl("drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=300s");
    await waitFor(
      "three replicas on the other node",
      async () => {
        const ready = await steps.readyPods();
        return ready.length === 3 && ready.every(({ node }) => node === "node-1") ? true : undefined;
      },
      SLOW_MS,
    );
  });
  await rig.kubectl("uncordon", "node-2");
});

test("the autoscaler takes more replicas while calls pile up, and fewer afterwards", async () => {
  world.configure({
    replicas: { minimum: 1, maximum: 4 },
    autoscaling: { kind: "calls", callsPerReplica: 2, cpu: false, scaleDown: "30s" },
  });
  await steps.apply();
  const one = () =>
    waitFor("a scale-down", async () => ((await steps.readyPods()).length === 1 ? true : undefined), SLOW_MS);
  await one();
  await steps.underAuditedLoad(24, async () => {
    await waitFor(
      "a scale-up by real load",
      async () => ((await steps.readyPods()).length >= 3 ? true : undefined),
      SLOW_MS,
    );
  });
  await one();
});
