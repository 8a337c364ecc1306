import { fromUtf8 } from "../bytes.ts";
import { DER_TAG, type DerReader } from "../der/der.ts";

export const COMMON_NAME = "2.5.4.3";

/** One attribute of a name. `value` is absent where the string type is not one of those that certificates use today. */
export interface NameAttribute {
  readonly oid: string;
  readonly value?: string;
}

/** A distinguished name. Compare `raw`: two names are equal where their DER is. */
export interface DistinguishedName {
  readonly raw: Uint8Array;
  readonly attributes: readonly NameAttribute[];
}

const TEXT_TAGS: ReadonlySet<number> = new Set([DER_TAG.utf8String, DER_TAG.printableString, DER_TAG.ia5String]);

/** A Name (RFC 5280, 4.1.2.4). */
export function readName(reader: DerReader): DistinguishedName {
  const element = reader.element();
  const names = reader.nested(element, DER_TAG.sequence);
  const attributes: NameAttribute[] = [];
  while (!names.atEnd) {
    const set = names.enter(DER_TAG.set);
    do attributes.push(readAttribute(set));
    while (!set.atEnd);
  }
  return { raw: element.raw, attributes };
}

/** The value of the one attribute with this OID, or `undefined` where there is none or more than one. */
export function nameAttribute(name: DistinguishedName, oid: string): string | undefined {
  const found = name.attributes.filter((attribute) => attribute.oid === oid);
  return found.length === 1 ? found[0]?.value : undefined;
}

function readAttribute(set: DerReader): NameAttribute {
  const pair = set.sequence();
  const oid = pair.oid();
  const { tag, content } = pair.element();
  pair.end();
  const value = TEXT_TAGS.has(tag) ? fromUtf8(content) : undefined;
  return value === undefined ? { oid } : { oid, value };
}
