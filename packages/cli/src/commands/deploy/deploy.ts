import { Command } from "commander";
import { applyCommand } from "./apply.ts";
import { bootstrapCommand } from "./bootstrap.ts";
import { statusCommand, verifyCommand } from "./look.ts";
import { deleteCommand, logsCommand, scaleCommand } from "./operate.ts";
import { renderCommand } from "./render.ts";

/** `cloister deploy`: replicas on Kubernetes. */
export function deployCommand(setExit: (code: number) => void): Command {
  const deploy = new Command("deploy").description(
    "Run replicas on Kubernetes: nodes, objects, roll-out, scale, verification.",
  );
  for (const make of [
    renderCommand,
    applyCommand,
    scaleCommand,
    statusCommand,
    verifyCommand,
    logsCommand,
    deleteCommand,
    bootstrapCommand,
  ]) {
    deploy.addCommand(make(setExit));
  }
  return deploy;
}
