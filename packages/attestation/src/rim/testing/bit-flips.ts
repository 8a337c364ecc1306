import type { Collateral } from "../../collateral/collateral.ts";
import { AttestationError } from "../../errors.ts";
import { createVerifier, type Verifier } from "../../appraisal/verifier.ts";
import type { DcapBundle } from "./dcap-bundle.ts";

/** A changed bit that was not noticed. */
interface AcceptedFlip {
  readonly item: string;
  readonly byte: number;
  readonly bit: number;
  /** The change is the letter case of a digit of the signature's hex, which both forms are allowed to have. */
  readonly isHexCase: boolean;
}

export interface FlipReport {
  readonly flips: number;
  readonly refusals: ReadonlyMap<string, number>;
  readonly accepted: readonly AcceptedFlip[];
}

export type FlipItem = "quote" | keyof Collateral;

const FLIP_ITEMS: readonly FlipItem[] = [
  "quote",
  "tcbInfo",
  "tcbInfoIssuerChain",
  "qeIdentity",
  "qeIdentityIssuerChain",
  "rootCaCrl",
  "pckCrl",
  "pckCrlIssuerChain",
];

/**
 * Changes single bits of the quote and of every collateral item, every `stride`th one, and appraises. The
 * verifier remembers the items that are not changed. Throws where anything but a typed refusal comes.
 */
export function flipBits(bundle: DcapBundle, stride: number, items: readonly FlipItem[] = FLIP_ITEMS): FlipReport {
  const verifier = createVerifier({ anchors: bundle.anchors });
  verifier.appraise({ quote: bundle.quote }, bundle.collateral, bundle.time);
  const refusals = new Map<string, number>();
  const accepted: AcceptedFlip[] = [];
  let flips = 0;
  for (const item of items) {
    const original = itemBytes(bundle, item);
    for (let index = stride === 1 ? 0 : 3; index < original.length * 8; index += stride) {
      const [byte, bit] = [index >> 3, index & 7];
      const changed = original.slice();
      changed[byte] = (changed[byte] ?? 0) ^ (1 << bit);
      const code = appraiseChanged(verifier, bundle, item, changed);
      flips += 1;
      if (code === undefined) accepted.push({ item, byte, bit, isHexCase: isHexCase(original, byte, bit) });
      else refusals.set(code, (refusals.get(code) ?? 0) + 1);
    }
  }
  return { flips, refusals, accepted };
}

function appraiseChanged(
  verifier: Verifier,
  bundle: DcapBundle,
  item: FlipItem,
  changed: Uint8Array,
): string | undefined {
  const value = typeof itemValue(bundle, item) === "string" ? Buffer.from(changed).toString("latin1") : changed;
  const quote = item === "quote" ? changed : bundle.quote;
  const collateral = item === "quote" ? bundle.collateral : { ...bundle.collateral, [item]: value };
  try {
    verifier.appraise({ quote }, collateral, bundle.time);
    return undefined;
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

function itemValue(bundle: DcapBundle, item: FlipItem): Uint8Array | string {
  return item === "quote" ? bundle.quote : bundle.collateral[item];
}

function itemBytes(bundle: DcapBundle, item: FlipItem): Uint8Array {
  const value = itemValue(bundle, item);
  return typeof value === "string" ? new Uint8Array(Buffer.from(value, "latin1")) : value;
}

/** Bit 5 tells upper from lower case letters in ASCII. */
function isHexCase(original: Uint8Array, byte: number, bit: number): boolean {
  const text = Buffer.from(original).toString("latin1");
  const start = text.indexOf('"signature":"') + '"signature":"'.length;
  const inSignature = byte >= start && byte < start + 128;
  return bit === 5 && inSignature && /[a-f]/i.test(text.charAt(byte));
}
