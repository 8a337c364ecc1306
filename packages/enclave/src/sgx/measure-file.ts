import { decodeManifest, type EnclaveManifest } from "../manifest/manifest.ts";
import { measureSimulated } from "../manifest/measure.ts";
import { type GramineManifest, readGramineManifest } from "./gramine-manifest.ts";
import { computeMrenclave } from "./mrenclave.ts";

const JSON_START = 0x7b;

interface Measured {
  readonly mrenclave: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly debug: boolean;
}

/** A manifest's measurement, of the kind of platform that the manifest is for. */
export type MeasuredManifest = Measured &
  (
    | { readonly platform: "simulated"; readonly manifest: EnclaveManifest }
    | { readonly platform: "gramine"; readonly manifest: GramineManifest }
  );

/**
 * Measures a manifest: Gramine's `.manifest.sgx` with the loader that runs it, or ours (JSON), which only the SIMULATED platform
 * measures as it is. Undefined where it is Gramine's and there is no loader. Throws as the parts do.
 */
export function measureManifest(text: Uint8Array, loader: Uint8Array | undefined): MeasuredManifest | undefined {
  if (text[0] === JSON_START) {
    const manifest = decodeManifest(text);
    const { isvProdId, isvSvn } = manifest;
    return {
      platform: "simulated",
      manifest,
      mrenclave: measureSimulated(manifest),
      isvProdId,
      isvSvn,
      debug: false,
    };
  }
  const manifest = readGramineManifest(text);
  if (loader === undefined) return undefined;
  const { isvProdId, isvSvn, debug, dimensions } = manifest;
  const mrenclave = computeMrenclave(text, loader, dimensions);
  return { platform: "gramine", manifest, mrenclave, isvProdId, isvSvn, debug };
}
