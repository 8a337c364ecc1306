import type { StoredSet } from "@cloister/attestation/collateral-folder";
import { renderTable } from "../../output/table.ts";
import type { Terminal } from "../../output/terminal.ts";

const DAY_MS = 86_400_000;

/** Sets with the dates of their items, for people. */
export function showCollateralSets(terminal: Terminal, sets: readonly StoredSet[], now: Date): void {
  if (sets.length === 0) return terminal.line("no stored collateral");
  const titles = ["platform", "item", "issued", "next update", "days left", "number", "verdict"];
  const rows = sets.flatMap((set) => setRows(set, now));
  const columns = titles.map((title) => ({
    title,
    align: title === "days left" || title === "number" ? ("right" as const) : ("left" as const),
  }));
  return terminal.line(renderTable(columns, rows));
}

/** The same as plain data. */
export function collateralSetsJson(sets: readonly StoredSet[]) {
  return {
    sets: sets.map(({ path, platform, update, items, code }) => ({
      path,
      platform: platform ?? null,
      update,
      verified: code === null,
      code,
      items: items.map(({ name, issuedAt, nextUpdate, number }) => ({
        name,
        issuedAt: issuedAt.toISOString(),
        nextUpdate: nextUpdate.toISOString(),
        number: String(number),
      })),
    })),
  };
}

function setRows({ platform, update, items, code }: StoredSet, now: Date): string[][] {
  const name = platform === undefined ? "?" : `${platform.tee} ${platform.fmspc} ${platform.pckCa} ${update}`;
  const verdict = code ?? "verified";
  if (items.length === 0) return [[name, "", "", "", "", "", verdict]];
  return items.map((item, index) => [
    index === 0 ? name : "",
    item.name,
    day(item.issuedAt),
    day(item.nextUpdate),
    String(Math.floor((item.nextUpdate.getTime() - now.getTime()) / DAY_MS)),
    String(item.number),
    index === 0 ? verdict : "",
  ]);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
