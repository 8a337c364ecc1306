import { createPrivateKey } from "node:crypto";
import { json } from "node:stream/consumers";
import { openStore, type SqliteSettings } from "@cloister/broker/store";
import { logEntry } from "./log-entry.ts";

// Appends to a store until it is killed, for a test. Prints the peer key of each entry that was acknowledged.

const { settings, origin, pem, first } = (await json(process.stdin)) as {
  readonly settings: SqliteSettings;
  readonly origin: string;
  readonly pem: string;
  readonly first: number;
};
const store = await openStore(settings);
const { log } = await store.openLog({ origin, signingKey: createPrivateKey(pem) });
for (let next = first; ; next += 5) {
  const entries = Array.from({ length: 5 }, (_, i) => logEntry(next + i));
  await Promise.all(entries.map((entry) => log.append(entry, { unlessReleased: true })));
  process.stdout.write(entries.map((entry) => `${entry.peerKeySha256}\n`).join(""));
}
