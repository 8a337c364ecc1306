import { resolve } from "node:path";
import { type PrivateKeyType, writeTlsFolder } from "@cloister/broker/certificates";
import { Command, Option } from "commander";
import { wholeNumber } from "../flags.ts";
import { EXIT } from "../output/exit-code.ts";
import { openTerminal } from "../output/terminal.ts";

const MAX_DAYS = 825;

interface CertsFlags {
  readonly output: string;
  readonly key: PrivateKeyType;
  readonly days: number;
  readonly json?: boolean;
}

/** `cloister certs`: TLS material for stock TensorFlow Serving, as the original's two scripts made it. */
export function certsCommand(setExit: (code: number) => void): Command {
  const certs = new Command("certs").description("Make TLS certificates and ssl.cfg for tensorflow_model_server.");
  withCertsOptions(certs.command("one-way").description("Only the server shows a certificate."))
    .argument("<server-name...>", "DNS names that requesters connect to")
    .action(async (names: string[], flags: CertsFlags) => setExit(await make(names, [], flags)));
  withCertsOptions(certs.command("mutual").description("Server and requesters show certificates."))
    .argument("<server-name...>", "DNS names that requesters connect to")
    .requiredOption("--client <name...>", "requesters; each gets a certificate of its own")
    .action(async (names: string[], flags: CertsFlags & { client: string[] }) =>
      setExit(await make(names, flags.client, flags)),
    );
  return certs;
}

function withCertsOptions(command: Command): Command {
  return command
    .option("--output <folder>", "new folder for everything", "ssl_configure")
    .addOption(new Option("--key <type>", "kind of the keys").choices(["p256", "p384", "rsa3072"]).default("p256"))
    .option("--days <n>", "life of the certificates (default: 90)", wholeNumber(1, MAX_DAYS), 90)
    .option("--json", "print one JSON document");
}

async function make(names: readonly string[], clientNames: readonly string[], flags: CertsFlags): Promise<number> {
  const [first = "", ...others] = names;
  const folder = resolve(flags.output);
  const files = await writeTlsFolder({
    folder,
    serverNames: [first, ...others],
    clientNames,
    keyType: flags.key,
    days: flags.days,
    now: new Date(),
  });
  const terminal = openTerminal(flags.json === true);
  for (const file of files) terminal.line(file);
  terminal.line("keep owner/ to yourself; server/ssl.cfg holds a private key: seal it before it leaves this machine");
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ folder, files })}\n`);
  return EXIT.done;
}
