import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { median, quantile } from './quantiles.ts'

const measurement = z.object({
  what: z.string(),
  value: z.number(),
  unit: z.enum([
    's',
    'ms',
    'MB',
    'rows/s',
    'rows',
    'CPU s',
    'CPU µs',
    'requests/s',
    'sign-ins/s',
    'bytes',
    '×',
    '%',
    'count',
  ]),
  /** Of several samples `value` is the median, unless `what` says otherwise; these are the extremes. */
  low: z.number().optional(),
  high: z.number().optional(),
  samples: z.int().optional(),
  /** What it should not exceed, or fall below. */
  atMost: z.number().optional(),
  atLeast: z.number().optional(),
})
export type Measurement = z.infer<typeof measurement>
type Target = Pick<Measurement, 'atMost' | 'atLeast'>

/** Those that took part; and by what the kernel sends, where that matters. */
const serverVersions = z.partialRecord(
  z.enum(['postgresql', 'clickhouse', 'nginx', 'minio', 'redis', 'oauth2-proxy', 'congestion control']),
  z.string(),
)
export type ServerVersions = z.infer<typeof serverVersions>

const machine = z.object({
  cpu: z.string(),
  cores: z.int(),
  memory_gb: z.number(),
  kernel: z.string(),
  node: z.string(),
})
export type Machine = z.infer<typeof machine>

/** How busy the machine was; the load averages are those of one minute. */
const load = z.object({
  load_average_before: z.number(),
  load_average_max: z.number(),
  /** CPU time a second that went to processes which are not the measurement's. */
  cores_used_by_others: z.number(),
})
export type Load = z.infer<typeof load>

const caseResult = z.object({
  case: z.string(),
  title: z.string(),
  started_at: z.iso.datetime(),
  duration_s: z.number(),
  machine,
  servers: serverVersions,
  load,
  measurements: z.array(measurement),
})
export type CaseResult = z.infer<typeof caseResult>

/** One value as it was measured. */
export function measured(
  what: string,
  value: number,
  unit: Measurement['unit'],
  target: Target = {},
): Measurement {
  return { what, value: rounded(value), unit, ...target }
}

/** Several samples of one thing: their median and extremes. */
export function measuredRepeatedly(
  what: string,
  samples: readonly number[],
  unit: Measurement['unit'],
  target: Target = {},
): Measurement {
  return { ...measured(what, median(samples), unit, target), ...extremes(samples) }
}

/** The p50 and the p99 of a latency, in milliseconds. */
export function measuredLatency(
  what: string,
  samplesMs: readonly number[],
  targets: { p50?: Target; p99?: Target } = {},
): Measurement[] {
  return [
    { ...measured(`${what}, p50`, quantile(samplesMs, 0.5), 'ms', targets.p50), ...extremes(samplesMs) },
    { ...measured(`${what}, p99`, quantile(samplesMs, 0.99), 'ms', targets.p99), ...extremes(samplesMs) },
  ]
}

function extremes(samples: readonly number[]): Pick<Measurement, 'low' | 'high' | 'samples'> {
  return { low: rounded(Math.min(...samples)), high: rounded(Math.max(...samples)), samples: samples.length }
}

/** Three digits that mean something: more would be noise. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}

/** @returns undefined without a target */
export function isMet({ value, atMost, atLeast }: Measurement): boolean | undefined {
  if (atMost === undefined && atLeast === undefined) return undefined
  return value <= (atMost ?? Number.POSITIVE_INFINITY) && value >= (atLeast ?? 0)
}

const resultsFolder = new URL('./results/', import.meta.url)

export async function writeResult(result: CaseResult): Promise<void> {
  await mkdir(resultsFolder, { recursive: true })
  await writeFile(new URL(`${result.case}.json`, resultsFolder), `${JSON.stringify(result, undefined, 2)}\n`)
}

/** The kept result of each case, by name. */
export async function readResults(): Promise<CaseResult[]> {
  const files = (await readdir(resultsFolder)).filter((name) => name.endsWith('.json')).sort()
  return Promise.all(
    files.map(async (file) =>
      caseResult.parse(JSON.parse(await readFile(new URL(file, resultsFolder), 'utf8'))),
    ),
  )
}
