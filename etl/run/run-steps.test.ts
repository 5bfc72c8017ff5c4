import { type Span, type SpanOptions, trace } from '@opentelemetry/api'
import { afterAll, expect, test } from 'vitest'
import { allEnded } from './all-ended.ts'
import { createStepTimer, traceRun } from './run-steps.ts'

type Recorded = { name: string; attributes: unknown; failed: boolean; ended: boolean }
const recorded: Recorded[] = []

/** What an OpenTelemetry SDK does with spans, as far as the job can tell. */
function startActiveSpan<Result>(name: string, ...rest: unknown[]): Result {
  const options = rest.length > 1 ? (rest[0] as SpanOptions) : {}
  const entry: Recorded = { name, attributes: options.attributes, failed: false, ended: false }
  recorded.push(entry)
  const span = {
    recordException: () => {},
    setStatus: () => {
      entry.failed = true
    },
    end: () => {
      entry.ended = true
    },
  } as unknown as Span
  return (rest.at(-1) as (span: Span) => Result)(span)
}
trace.setGlobalTracerProvider({ getTracer: () => ({ startActiveSpan, startSpan: () => ({}) as Span }) })
afterAll(() => trace.disable())

test('a run is a span by its run_id, and so is each of its steps; one that fails says so', async () => {
  const durations: Record<string, number> = {}
  const step = createStepTimer(durations, new AbortController().signal)
  await traceRun('run-1', 'run', () => step('open', async () => 'done'))
  await step('open', async () => 'again')
  await expect(step('load', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(recorded).toEqual([
    { name: 'etl.run', attributes: { run_id: 'run-1', kind: 'run' }, failed: false, ended: true },
    { name: 'etl.open', attributes: undefined, failed: false, ended: true },
    { name: 'etl.open', attributes: undefined, failed: false, ended: true },
    { name: 'etl.load', attributes: undefined, failed: true, ended: true },
  ])
  expect(Object.keys(durations)).toEqual(['open', 'load'])
})

test('a step of a run that was ended is not begun, and says so to who waits for it beside others', async () => {
  const step = createStepTimer({}, AbortSignal.abort(new Error('ended')))
  const beside = Promise.reject(new Error('ended'))
  await expect(allEnded([beside, step('load', async () => {})])).rejects.toThrow('ended')
})
