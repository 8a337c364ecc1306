import { fromBase64 } from "@cloister/encoding/base64";

/** A root that quotes may chain to. Which roots a verifier has is its operator's decision. */
export interface TrustAnchor {
  /** For people and policies, for example "intel". */
  readonly name: string;
  /** `intel` takes only Intel's own root; claims under a `simulated` one say so. */
  readonly kind: "intel" | "simulated";
  /** The self-signed root certificate, DER. */
  readonly certificate: Uint8Array;
}

/** SHA-256 of the SubjectPublicKeyInfo of Intel's root, which two genuine certificates in the field share. */
export const INTEL_ROOT_SPKI_SHA256 = "a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e";

/** Common name of that root. */
export const INTEL_ROOT_NAME = "Intel SGX Root CA";

// "Intel SGX Root CA", 2018-05-21 to 2049-12-31, from
// https://certificates.trustedservices.intel.com/IntelSGXRootCA.der. A wrong byte here is refused as ANCHOR_NOT_INTEL or
// ANCHOR_NOT_SELF_SIGNED, because the key and the name are pinned beside it.
const INTEL_ROOT_CERTIFICATE =
  "MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJv" +
  "b3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJ" +
  "BgNVBAYTAlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0Ex" +
  "GjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYT" +
  "AlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPWsCzaEKi71OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL" +
  "0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOBuzCBuDAfBgNVHSMEGDAWgBQiZQzWWp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJ" +
  "MEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50ZWwuY29tL0ludGVsU0dYUm9vdENBLmRl" +
  "cjAdBgNVHQ4EFgQUImUM1lqdNInzg7SVUr9QGzknBqwwDgYDVR0PAQH/BAQDAgEGMBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYI" +
  "KoZIzj0EAwIDSQAwRgIhAOW/5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94BgwTwgAiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZ" +
  "UGOdRQ7cvqRXaqI=";

/** Intel's SGX and TDX provisioning root. */
export const INTEL_ROOT: TrustAnchor = Object.freeze({
  name: "intel",
  kind: "intel",
  certificate: fromBase64(INTEL_ROOT_CERTIFICATE) ?? new Uint8Array(),
});
