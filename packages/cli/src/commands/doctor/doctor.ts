import {
  CLOUD_NAMES,
  type CloudName,
  CLOUDS,
  diagnose,
  ERROR_NUMBERS,
  explainError,
  gatherFacts,
  type Finding,
  type Purpose,
  PURPOSES,
} from "@cloister/enclave/doctor";
import { quotedPlatform } from "@cloister/attestation";
import { inspectItem } from "@cloister/attestation/inspect";
import { parseRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { CodedError } from "@cloister/encoding";
import { Command, Option } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { anchorsOf, read, serviceOf, withServiceOptions, type ServiceFlags } from "../attest/options.ts";
import { showCloud, showFindings, showMeanings } from "./output.ts";

interface DoctorFlags extends ServiceFlags {
  readonly for: Purpose;
  readonly cloud?: CloudName;
  readonly collateral?: string;
  readonly evidence?: string;
}

type DoctorErrorCode = "ERROR_NUMBER_UNKNOWN";

class DoctorError extends CodedError<DoctorErrorCode> {}

/** `cloister doctor`: what this machine lacks, and what error numbers mean. */
export function doctorCommand(setExit: (code: number) => void): Command {
  const doctor = new Command("doctor")
    .description("Check what this machine lacks for its purpose, with cause and remedy for each.")
    .addOption(new Option("--for <purpose>", "what the machine is to do").choices(PURPOSES).default("simulated"))
    .addOption(
      new Option("--cloud <name>", "whose machine it is: its collateral service is asked").choices(CLOUD_NAMES),
    )
    .option("--collateral <path>", "folder or file of stored collateral: which of it expires soon")
    .option("--evidence <file>", "quote or RA-TLS certificate of this machine: its TCB status, with --collateral");
  withServiceOptions(doctor).action(async (flags: DoctorFlags) => setExit(await examine(flags)));
  doctor
    .command("explain")
    .description("Tell what an error number or code means: 57372, 0xe01c, -30592, SGX_QL_..., TCB_INFO_EXPIRED.")
    .argument("[code...]", "after -- where it is negative: doctor explain -- -30592; none: list all numbers")
    .option("--json", "print one JSON document")
    .action((codes: readonly string[], _flags: unknown, command: Command) => {
      setExit(explain(codes, command.optsWithGlobals<{ json?: boolean }>().json === true));
    });
  return doctor;
}

/** Exit code 1 where something is missing that the purpose needs. */
async function examine(flags: DoctorFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const anchors = await anchorsOf(flags, terminal);
  const cloud = flags.cloud && CLOUDS[flags.cloud];
  const named = await serviceOf(cloud === undefined ? flags : { service: cloud.service, ...flags });
  const quote = flags.evidence === undefined ? undefined : quoteIn(await read(flags.evidence));
  const facts = await gatherFacts({
    now: flags.at ?? new Date(),
    services: named === undefined ? [] : [named.service],
    anchors,
    asNode: flags.for === "kubernetes-node",
    ...(flags.collateral !== undefined && { collateral: flags.collateral }),
    ...(quote && { quote }),
  });
  const findings = diagnose(facts, flags.for);
  if (cloud !== undefined) showCloud(terminal, cloud);
  showFindings(terminal, findings, flags.for);
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ ...reportJson(findings, flags.for), ...(cloud && { cloud }) })}\n`);
  return findings.some(({ severity }) => severity === "error") ? EXIT.refused : EXIT.done;
}

function explain(codes: readonly string[], asJson: boolean): number {
  const asked = codes.length > 0 ? codes : ERROR_NUMBERS.map(({ name }) => name);
  const meanings = asked.flatMap((code) => explainError(code));
  if (meanings.length === 0) {
    throw new DoctorError("ERROR_NUMBER_UNKNOWN", {
      what: "nothing to explain",
      why: "the number or name is in no table",
      remedy: "give it as it was printed; docs/reference/commands.md says which software is covered",
    });
  }
  showMeanings(openTerminal(asJson), meanings);
  if (asJson) process.stdout.write(`${JSON.stringify({ meanings })}\n`);
  return EXIT.done;
}

function quoteIn(bytes: Uint8Array): Uint8Array {
  const item = inspectItem(bytes);
  if (item.kind !== "ra-tls-certificate") {
    quotedPlatform(item.bytes);
    return item.bytes;
  }
  const { evidence, legacyQuote } = parseRaTlsCertificate(item.bytes);
  return evidence?.quote ?? legacyQuote ?? new Uint8Array();
}

function reportJson(findings: readonly Finding[], purpose: Purpose) {
  return { ok: !findings.some(({ severity }) => severity === "error"), purpose, findings };
}
