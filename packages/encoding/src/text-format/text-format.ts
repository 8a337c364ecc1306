/** Protobuf's text format, driven by the descriptors of generated messages: ssl.cfg, model config files and the like. */
export { readTextFormat } from "./reader.ts";
export { writeTextFormat } from "./writer.ts";
