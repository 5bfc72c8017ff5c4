import { SpanStatusCode, trace } from '@opentelemetry/api'

export type StepTimer = <Result>(name: string, work: () => Promise<Result>) => Promise<Result>

const tracer = trace.getTracer('tendon-etl')

/**
 * Runs the steps of a run, unless it was ended, in a span each, and notes how long they took together: a step that
 * is done for each batch by several streams adds up to more than the run.
 */
export function createStepTimer(durationsMs: Record<string, number>, signal: AbortSignal): StepTimer {
  // Never throws at once: steps begun beside it would fail with nobody waiting for them.
  return async (name, work) => {
    signal.throwIfAborted()
    return tracer.startActiveSpan(`etl.${name}`, async (span) => {
      const startedAt = performance.now()
      try {
        return await work()
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR })
        throw error
      } finally {
        durationsMs[name] = Math.round((durationsMs[name] ?? 0) + performance.now() - startedAt)
        span.end()
      }
    })
  }
}

/** A span for the whole run; whoever has an OpenTelemetry SDK in the process sees it, by its `run_id`. */
export function traceRun<Result>(runId: string, kind: string, work: () => Promise<Result>): Promise<Result> {
  return tracer.startActiveSpan('etl.run', { attributes: { run_id: runId, kind } }, async (span) => {
    try {
      return await work()
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}
