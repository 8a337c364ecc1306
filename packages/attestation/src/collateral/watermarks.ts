import type { UpdateType } from "./collateral-request.ts";
import type { QuotedPlatform } from "./quoted-platform.ts";
import type { CollateralItem, CollateralState } from "./verify-collateral.ts";

/**
 * The newest of every item that was ever taken. An item that is older than its mark is a rollback: someone holds a
 * revocation or a TCB recovery back (dcap.md C.9). Items are marked on their own, because platforms share them.
 */
export class Watermarks {
  readonly #marks = new Map<string, CollateralItem>();

  /** Whether an item of the set is older than one taken before, by issue date or number. */
  goesBack(platform: QuotedPlatform, update: UpdateType, state: CollateralState): boolean {
    return state.items.some((item) => {
      const mark = this.#marks.get(markKey(platform, update, state, item));
      return mark !== undefined && (item.issuedAt < mark.issuedAt || item.number < mark.number);
    });
  }

  /** Notes the items of a set that are newer than those before. */
  raise(platform: QuotedPlatform, update: UpdateType, state: CollateralState): void {
    for (const item of state.items) {
      const key = markKey(platform, update, state, item);
      const mark = this.#marks.get(key);
      if (mark === undefined || (item.issuedAt >= mark.issuedAt && item.number >= mark.number)) {
        this.#marks.set(key, item);
      }
    }
  }
}

function markKey(platform: QuotedPlatform, update: UpdateType, state: CollateralState, item: CollateralItem): string {
  const { tee, fmspc, pckCa } = platform;
  const scope = {
    rootCaCrl: "",
    pckCrl: pckCa,
    tcbInfo: `${tee}/${fmspc}/${update}`,
    qeIdentity: `${tee}/${update}`,
  }[item.name];
  return `${state.anchorSha256}/${item.name}/${scope}`;
}
