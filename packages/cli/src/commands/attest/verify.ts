import {
  AttestationError,
  appraise,
  appraiseRaTls,
  quotedPlatform,
  stepsUntil,
  stripZeroPadding,
  type Collateral,
  type TrustAnchor,
  type VerifiedClaims,
} from "@cloister/attestation";
import { fetchCollateral } from "@cloister/attestation/collateral-client";
import { createCollateralSource } from "@cloister/attestation/collateral-source";
import { inspectItem, type Inspection } from "@cloister/attestation/inspect";
import { parseRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import {
  anchorsOf,
  AttestInputError,
  read,
  sourceOf,
  withSourceOptions,
  type Source,
  type SourceFlags,
} from "./options.ts";
import { showVerification, verificationJson, type Verification } from "./verify-output.ts";

interface VerifyFlags extends SourceFlags {
  readonly cache?: string;
  readonly allowLegacyRsa?: boolean;
}

/** `cloister attest verify`. */
export function attestVerifyCommand(setExit: (code: number) => void): Command {
  const command = new Command("verify")
    .description("Verify a quote or an RA-TLS certificate, and print every step, the verdict, its reasons and dates.")
    .argument("<file>", "quote or RA-TLS certificate: binary, PEM, hex or base64")
    .option("--cache <folder>", "keep verified collateral here, and refuse older one afterwards")
    .option("--allow-legacy-rsa", "accept RSA-3072 certificates of Gramine 1.3 and earlier");
  withSourceOptions(command).action(async (file: string, flags: VerifyFlags) => {
    setExit(await verify(file, flags, command));
  });
  return command;
}

async function verify(file: string, flags: VerifyFlags, command: Command): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const source = await sourceOf(flags, command);
  const anchors = await anchorsOf(flags, terminal);
  const time = flags.at ?? new Date();
  const evidence = readEvidence(inspectItem(await read(file)));
  const collateral = await collateralOf(evidence.quote, source, anchors, time, flags.cache);
  const verification = {
    ...judge(evidence, collateral, anchors, time, flags.allowLegacyRsa === true),
    droppedBytes: evidence.droppedBytes,
    time,
  };
  showVerification(terminal, verification);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(verificationJson(verification))}\n`);
  return verification.claims === undefined ? EXIT.refused : EXIT.done;
}

interface Evidence {
  readonly kind: "quote" | "ra-tls-certificate";
  readonly bytes: Uint8Array;
  /** Which collateral is needed. */
  readonly quote: Uint8Array;
  readonly droppedBytes: number;
}

function readEvidence({ kind, bytes }: Inspection): Evidence {
  if (kind === "quote") {
    const { quote, droppedBytes } = stripZeroPadding(bytes);
    return { kind, bytes: quote, quote, droppedBytes };
  }
  if (kind === "ra-tls-certificate") {
    const { evidence, legacyQuote } = parseRaTlsCertificate(bytes);
    return { kind, bytes, quote: evidence?.quote ?? legacyQuote ?? new Uint8Array(), droppedBytes: 0 };
  }
  throw new AttestInputError("EVIDENCE_UNSUPPORTED", {
    what: "nothing to verify",
    why: `the file is a ${kind}, which proves nothing about an enclave`,
    remedy: "give a quote or an RA-TLS certificate; look at other items with `cloister attest inspect`",
  });
}

/** Without a cache the collateral is not verified here: the appraisal does it, step by step. */
async function collateralOf(
  quote: Uint8Array,
  { service, ...options }: Source,
  anchors: readonly TrustAnchor[],
  time: Date,
  folder: string | undefined,
): Promise<Collateral> {
  if (folder === undefined) return await fetchCollateral(service, quotedPlatform(quote), options);
  return await createCollateralSource({ service, anchors, folder, clock: () => time, ...options })(quote);
}

const CERTIFICATE_STEP = "certificate";
const BINDING_STEP = "key-binding";

function judge(
  { kind, bytes }: Evidence,
  collateral: Collateral,
  anchors: readonly TrustAnchor[],
  time: Date,
  allowLegacyRsa: boolean,
): Omit<Verification, "droppedBytes" | "time"> {
  const isRaTls = kind === "ra-tls-certificate";
  try {
    const claims: VerifiedClaims = isRaTls
      ? appraiseRaTls(bytes, collateral, anchors, time, { allowLegacyRsa }).claims
      : appraise({ quote: bytes }, collateral, anchors, time);
    const passed = isRaTls ? [CERTIFICATE_STEP, ...claims.checked, BINDING_STEP] : claims.checked;
    return { kind, claims, passed };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    const steps = stepsUntil(error.code);
    const before = isRaTls ? [CERTIFICATE_STEP] : [];
    if (steps !== undefined) return { kind, error, passed: [...before, ...steps.passed], failed: steps.failed };
    return { kind, error, passed: [], failed: isRaTls ? CERTIFICATE_STEP : "appraisal" };
  }
}
