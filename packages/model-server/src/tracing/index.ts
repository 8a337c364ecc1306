// Spans and where they go, without the rest of the server: the gateway's image holds no more of it.

export { OtlpExporter } from "./otlp-exporter.ts";
export { Tracer, type TracerOptions } from "./tracer.ts";
