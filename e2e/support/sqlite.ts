import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestContext } from "node:test";
import type { SqliteSettings } from "@cloister/broker/store";
import type { TestStore } from "./store-suite.ts";

export interface SqliteFile extends TestStore {
  readonly settings: SqliteSettings;
  /** Runs statements with the triggers in force; rolled back. */
  guarded(sql: string): void;
}

/** A database in a file of this test alone, with nothing in it yet. */
export async function startSqlite(t: TestContext, parent: string = tmpdir()): Promise<SqliteFile> {
  const folder = await mkdtemp(join(parent, "sqlite-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "broker.db");
  const using = <T>(work: (database: DatabaseSync) => T): T => {
    const database = new DatabaseSync(path, { timeout: 10_000 });
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  const guards = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
  return {
    settings: { path },
    folder,
    sql: { hex: (column) => `hex(${column})`, bytes: (digits) => `X'${digits}'` },
    admin: async (sql) =>
      using((database) => {
        const triggers = database.prepare(guards).all() as { name: string; sql: string }[];
        for (const { name } of triggers) database.exec(`DROP TRIGGER ${name}`);
        let value: unknown;
        if (sql.startsWith("SELECT")) value = Object.values(database.prepare(sql).get() ?? {})[0];
        else database.exec(sql);
        for (const trigger of triggers) database.exec(trigger.sql);
        return typeof value === "string" ? value.trim() : "";
      }),
    guarded(sql) {
      using((database) => database.exec(`BEGIN; ${sql}; ROLLBACK`));
    },
    async refuseWrites(refuse) {
      const trigger = "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'full'); END";
      using((database) => database.exec(refuse ? trigger : "DROP TRIGGER full"));
    },
    async dump() {
      const files = await readdir(folder);
      return (await Promise.all(files.map((name) => readFile(join(folder, name), "latin1")))).join("");
    },
  };
}
