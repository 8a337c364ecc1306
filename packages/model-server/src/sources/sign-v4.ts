import { createHash, createHmac } from "node:crypto";

/** Keys for an S3-compatible store: AWS's own, or HMAC keys of Google Cloud Storage. */
export interface StoreCredentials {
  readonly keyId: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

const EMPTY_BODY = sha256("");

/** Headers that sign a GET. (AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header") */
export function signedHeaders(
  url: URL,
  region: string,
  { keyId, secretKey, sessionToken }: StoreCredentials,
  now: Date,
): Record<string, string> {
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const headers: Record<string, string> = { host: url.host, "x-amz-content-sha256": EMPTY_BODY, "x-amz-date": time };
  if (sessionToken !== undefined) headers["x-amz-security-token"] = sessionToken;
  const names = Object.keys(headers).toSorted();
  const query = [...url.searchParams].map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`).toSorted();
  const canonical = [
    "GET",
    url.pathname,
    query.join("&"),
    ...names.map((name) => `${name}:${headers[name] ?? ""}`),
    "",
    names.join(";"),
    EMPTY_BODY,
  ];
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical.join("\n"))].join("\n");
  const key = scope.split("/").reduce((parent: string | Buffer, part) => hmac(parent, part), `AWS4${secretKey}`);
  const signature = hmac(key, toSign).toString("hex");
  const { host: _host, ...sent } = headers;
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${keyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`,
  };
}

/** Percent-encoding as the signature counts it: everything but letters, digits and `-._~`. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
