import type { Log } from '@tendon/platform/log.ts'
import { type Dispatcher, Pool } from 'undici'

/** The first pause of an instance that failed; each further failure doubles it. */
const firstPauseMs = 500
const maxPauseMs = 30_000

type Instance = { origin: string; pool: Pool; inFlight: number; failures: number; pausedUntilMs: number }

export type Upstream = ReturnType<typeof createUpstream>

/**
 * The instances of a service. A request goes to the one that has the fewest under way; one that failed rests, longer
 * each time, and is then tried with a request that can be repeated elsewhere.
 */
export function createUpstream(options: { origins: string[]; now: () => number; log: Log }) {
  const { origins, now, log } = options
  const instances = origins.map((origin): Instance => {
    return { origin, pool: new Pool(origin), inFlight: 0, failures: 0, pausedUntilMs: 0 }
  })

  function choose(without: Set<Instance>): Instance | undefined {
    const candidates = instances.filter((instance) => !without.has(instance))
    const rested = candidates.filter(({ pausedUntilMs }) => pausedUntilMs <= now())
    // When all rest, the one whose rest ends first: better a try than a refusal.
    return rested.length > 0 ? least(rested, 'inFlight') : least(candidates, 'pausedUntilMs')
  }

  return {
    /** Another instance for each call, the best first; undefined when all have been tried. */
    attempts(): () => Instance | undefined {
      const tried = new Set<Instance>()
      return () => {
        const instance = choose(tried)
        if (instance) tried.add(instance)
        return instance
      }
    },
    /** Sends a request, and learns from how it goes. */
    dispatch(
      instance: Instance,
      request: Dispatcher.DispatchOptions,
      handler: Dispatcher.DispatchHandler,
    ): void {
      instance.inFlight += 1
      instance.pool.dispatch(request, handler)
    },
    done(instance: Instance, outcome: 'answered' | 'unreachable' | 'given up'): void {
      instance.inFlight -= 1
      if (outcome === 'answered') instance.failures = 0
      if (outcome !== 'unreachable') return
      const pauseMs = Math.min(maxPauseMs, firstPauseMs * 2 ** instance.failures)
      instance.failures += 1
      instance.pausedUntilMs = now() + pauseMs
      log.warn({ origin: instance.origin, pause_ms: pauseMs }, 'an instance of a service cannot be reached')
    },
    close: () => Promise.all(instances.map(({ pool }) => pool.destroy())),
  }
}

function least<Key extends string>(
  items: (Instance & Record<Key, number>)[],
  key: Key,
): Instance | undefined {
  return items.reduce<(Instance & Record<Key, number>) | undefined>(
    (best, item) => (best === undefined || item[key] < best[key] ? item : best),
    undefined,
  )
}
