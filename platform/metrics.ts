import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** The metrics of one service; names become `tendon_<service>_<thing>_<unit>`. */
export type Metrics = ReturnType<typeof createMetrics>

/** Buckets in seconds, from a cached answer to a slow query. */
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * A registry of one service (Prometheus naming: https://prometheus.io/docs/practices/naming/).
 * @param service lower case with underscores, as in `reports_service`
 */
export function createMetrics(service: string, options: { processMetrics?: boolean } = {}) {
  const registry = new Registry()
  const prefix = `tendon_${service}_`
  if (options.processMetrics) collectDefaultMetrics({ register: registry })
  return {
    /** @param name thing and unit, ending in `_total` */
    counter: <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter({ name: prefix + name, help, labelNames, registers: [registry] }),
    gauge: <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
      new Gauge({ name: prefix + name, help, labelNames, registers: [registry] }),
    /** @param name thing and unit, ending in `_seconds` unless `buckets` are given */
    histogram: <Label extends string = never>(
      name: string,
      help: string,
      labelNames: Label[] = [],
      buckets = latencyBuckets,
    ) => new Histogram({ name: prefix + name, help, labelNames, buckets, registers: [registry] }),
    /** The registry in Prometheus' text format. */
    expose: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  }
}
