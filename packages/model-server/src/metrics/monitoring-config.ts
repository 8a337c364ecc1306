import { MonitoringConfigSchema } from "@cloister/encoding/gen/tensorflow_serving/config/monitoring_config_pb";
import { readTextFormat } from "@cloister/encoding/text-format";

const DEFAULT_PATH = "/monitoring/prometheus/metrics";

/** The path of the metrics that a `--monitoring_config_file` asks for. Throws `EncodingError` TEXT_FORMAT_MALFORMED. */
export function readMonitoringConfig(text: string): string | undefined {
  const { prometheusConfig } = readTextFormat(MonitoringConfigSchema, text);
  if (prometheusConfig?.enable !== true) return undefined;
  return prometheusConfig.path === "" ? DEFAULT_PATH : prometheusConfig.path;
}
