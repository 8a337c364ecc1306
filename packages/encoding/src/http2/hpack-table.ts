/** A name and value as bytes in text form (latin1). Shared by all blocks that refer to it: never changed. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

/** What a field counts beside its bytes, in tables and in the limit of header lists. (RFC 7541, section 4.1) */
const FIELD_OVERHEAD_BYTES = 32;

/** RFC 7541, appendix A; `name` or `name=value`, from index 1 on. */
const STATIC_FIELDS =
  ":authority;:method=GET;:method=POST;:path=/;:path=/index.html;:scheme=http;:scheme=https;:status=200;" +
  ":status=204;:status=206;:status=304;:status=400;:status=404;:status=500;accept-charset;" +
  "accept-encoding=gzip, deflate;accept-language;accept-ranges;accept;access-control-allow-origin;age;allow;" +
  "authorization;cache-control;content-disposition;content-encoding;content-language;content-length;" +
  "content-location;content-range;content-type;cookie;date;etag;expect;expires;from;host;if-match;" +
  "if-modified-since;if-none-match;if-range;if-unmodified-since;last-modified;link;location;max-forwards;" +
  "proxy-authenticate;proxy-authorization;range;referer;refresh;retry-after;server;set-cookie;" +
  "strict-transport-security;transfer-encoding;user-agent;vary;via;www-authenticate";

export const STATIC_TABLE: readonly HeaderField[] = STATIC_FIELDS.split(";").map((field) => {
  const equals = field.indexOf("=");
  return equals === -1 ? { name: field, value: "" } : { name: field.slice(0, equals), value: field.slice(equals + 1) };
});

/** How a field counts against limits. */
export function fieldBytes({ name, value }: HeaderField): number {
  return name.length + value.length + FIELD_OVERHEAD_BYTES;
}

/** The fields that one direction of a connection has in common, newest first, with a bound of their bytes. (RFC 7541, section 2.3.2) */
export class DynamicTable {
  /** Newest last: what goes is at the front. */
  #fields: HeaderField[] = [];
  /** Fields at the front that are gone. */
  #gone = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#fields.length - this.#gone;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The field `age` insertions ago; 0 is the newest. */
  at(age: number): HeaderField | undefined {
    return age < this.size ? this.#fields[this.#fields.length - 1 - age] : undefined;
  }

  /** A field that is larger than the table empties it. False: it was not added. */
  add(field: HeaderField): boolean {
    const bytes = fieldBytes(field);
    this.#evictTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return false;
    this.#fields.push(field);
    this.#bytes += bytes;
    return true;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(bytes: number): void {
    while (this.#bytes > bytes && this.size > 0) {
      const field = this.#fields[this.#gone++];
      if (field !== undefined) this.#bytes -= fieldBytes(field);
    }
    if (this.#gone > this.#fields.length / 2) {
      this.#fields = this.#fields.slice(this.#gone);
      this.#gone = 0;
    }
  }
}
