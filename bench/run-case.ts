import { setTimeout as delay } from 'node:timers/promises'
import type { BenchCase, BenchContext } from './bench-case.ts'
import { describeMachine, watchLoad } from './machine-load.ts'
import { type CaseResult, rounded } from './results.ts'
import { Scope } from './scope.ts'

/** How long a case that was ended may take to notice. */
const settlingMs = 15_000

/**
 * Runs one case in a scope of its own, which is closed before this returns or throws.
 * @param signal ends it early
 */
export async function runCase(
  bench: BenchCase,
  parts: Omit<BenchContext, 'scope'>,
  signal: AbortSignal,
): Promise<CaseResult> {
  const scope = new Scope()
  const startedAt = new Date()
  const load = await watchLoad()
  const bound = AbortSignal.any([signal, AbortSignal.timeout(bench.timeoutMs)])
  const work = bench.run({ ...parts, scope })
  const settled = work.then(
    () => {},
    () => {},
  )
  // Why a case failed matters more than what failed to close after it.
  async function close(): Promise<void> {
    for (const err of await scope.close()) parts.log.warn({ err }, `case ${bench.name} did not close cleanly`)
  }
  try {
    const { measurements, servers } = await Promise.race([work, whenAborted(bound)])
    return {
      case: bench.name,
      title: bench.title,
      started_at: startedAt.toISOString(),
      duration_s: rounded((Date.now() - startedAt.getTime()) / 1000),
      machine: describeMachine(),
      servers,
      load: await load.stop(),
      measurements,
    }
  } finally {
    await load.stop()
    await close()
    // What a case that was ended early was just starting is in the scope only now.
    await Promise.race([settled, delay(settlingMs, undefined, { ref: false })])
    await close()
  }
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
