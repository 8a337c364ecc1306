import { Command } from "commander";
import { renderCommand } from "./render.ts";

/** `cloister deploy`: replicas on Kubernetes. */
export function deployCommand(setExit: (code: number) => void): Command {
  const deploy = new Command("deploy").description(
    "Run replicas on Kubernetes: objects, roll-out, scale, verification.",
  );
  return deploy.addCommand(renderCommand(setExit));
}
