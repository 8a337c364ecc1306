import assert from "node:assert/strict";
import { test } from "node:test";
import { testCertificates } from "@cloister/model-server/testing";
import { createChannel, PredictClient } from "../index.ts";
import { startGoodReplica, testPlatform } from "../testing/replicas.ts";
import { AddressBook } from "./address-book.ts";

const named = { host: "replicas.test", port: 8500 };

test("without a resolver the addresses are given out in turn, as they are", async () => {
  const book = new AddressBook({ address: named, moreAddresses: [{ host: "::1", port: 1 }] });
  const given = [await book.next(), await book.next(), await book.next()];
  assert.deepEqual(
    given.map(({ address }) => address.host),
    ["replicas.test", "::1", "replicas.test"],
  );
});

test("a name stands for all addresses behind it, which are asked for again", async () => {
  let behind = ["10.0.0.1"];
  const book = new AddressBook({ address: named, resolve: () => Promise.resolve(behind) });
  assert.deepEqual(await book.next(), { address: { host: "10.0.0.1", port: 8500 }, serverName: "replicas.test" });
  behind = ["10.0.0.1", "10.0.0.2"];
  const later = [await book.next(), await book.next()].map(({ address }) => address.host);
  assert.deepEqual(later.toSorted(), behind);
});

test("a name without addresses, or that cannot be resolved, is UNAVAILABLE", async () => {
  for (const resolve of [() => Promise.resolve([]), () => Promise.reject(new Error("no such name"))]) {
    await assert.rejects(new AddressBook({ address: named, resolve }).next(), { code: "UNAVAILABLE" });
  }
});

test("connections go to every replica behind a headless name, and each proves the name", async () => {
  const certificates = testCertificates();
  const replica = await startGoodReplica(testPlatform(), certificates.server);
  const asked: string[] = [];
  const channel = createChannel({
    address: { host: "server.test", port: replica.address.port },
    connections: 2,
    tls: { ca: certificates.ca },
    resolve: (host) => {
      asked.push(host);
      return Promise.resolve(["127.0.0.1"]);
    },
  });
  const client = new PredictClient(channel);
  for (let call = 0; call < 4; call++) await client.status({ model: "half" }, { retries: 0 });
  assert.deepEqual(asked, ["server.test", "server.test"]);
  await Promise.all([channel.close(), replica.close()]);
});
