import type { Log } from '@tendon/platform/log.ts'
import { type Dispatcher, Pool } from 'undici'
import type { GatewayRoute } from './route-table.ts'

/** The first pause of an instance that cannot be reached; each further failure doubles it. */
const firstPauseMs = 500
const maxPauseMs = 30_000
/** The pause of one that answers a failure: as often, one request finds out whether it still does. */
const failingPauseMs = 1_000
/** Time for one packet to be lost and sent again (RFC 6298 §2.1), and for another instance to be asked. */
const maxConnectMs = 2_000

/**
 * How an exchange ended: whatever was answered but a failure; `failing`, an answer that says it cannot do its work now
 * (RFC 9110 §15.6.3 to §15.6.5); no answer for the connection's sake; or none that is told of the instance.
 */
type Outcome = 'answered' | 'failing' | 'unreachable' | 'given up'

type Instance = {
  origin: string
  pool: Pool
  /** Of connections that are used once. */
  onePool: Pool | undefined
  inFlight: number
  failures: number
  isReachable: boolean
  pausedUntilMs: number
}

export type Question = Dispatcher.DispatchOptions & { method: string; headersTimeout: number }

export type Upstream = ReturnType<typeof createUpstream>

/**
 * The instances of a service. A request goes to the one that has the fewest under way, in turn when it is the same; one
 * that failed rests, longer each time, and is then tried with a request that can be repeated elsewhere.
 *
 * One that answers a failure rests briefly, and no longer each time: the cause may be what was asked, or what stands
 * behind all instances. Nothing is refused for it: when all rest, they are asked as if none did.
 */
export function createUpstream(options: {
  route: Pick<GatewayRoute, 'upstreams' | 'timeouts'>
  now: () => number
  log: Log
}) {
  const { route, now, log } = options
  const connect = { timeout: Math.min(maxConnectMs, route.timeouts.headersMs / 2) }
  const instances = route.upstreams.map((origin): Instance => {
    const pool = new Pool(origin, { connect })
    return { origin, pool, onePool: undefined, inFlight: 0, failures: 0, isReachable: true, pausedUntilMs: 0 }
  })
  /** Where the search begins: behind the one that was chosen last. */
  let turn = 0

  function choose(without: Set<Instance>): Instance | undefined {
    const nowMs = now()
    let best: Instance | undefined
    for (let step = 0; step < instances.length; step += 1) {
      const instance = instances[(turn + step) % instances.length]!
      if (without.has(instance)) continue
      if (best === undefined || isBetter(instance, best, nowMs)) best = instance
    }
    if (best) turn = instances.indexOf(best) + 1
    return best
  }

  return {
    /** `next` gives another instance for each call, the best first; undefined when all have been tried. */
    attempts() {
      const tried = new Set<Instance>()
      return {
        next(): Instance | undefined {
          const instance = choose(tried)
          if (instance) tried.add(instance)
          return instance
        },
        /** Whether an instance is left of which nothing bad is known. */
        hasRested(): boolean {
          const nowMs = now()
          return instances.some((instance) => !tried.has(instance) && instance.pausedUntilMs <= nowMs)
        },
      }
    },
    /** @param isAnew by a connection that nothing was sent on before */
    dispatch(
      instance: Instance,
      request: Question,
      handler: Dispatcher.DispatchHandler,
      isAnew: boolean,
    ): void {
      instance.inFlight += 1
      // No pipelining at all is no connection that is kept (undici, Client's option `pipelining`).
      if (isAnew) instance.onePool ??= new Pool(instance.origin, { connect, pipelining: 0 })
      const pool = isAnew ? instance.onePool! : instance.pool
      pool.dispatch(request, handler)
    },
    done(instance: Instance, outcome: Outcome): void {
      instance.inFlight -= 1
      if (outcome === 'given up') return
      if (outcome === 'answered') {
        instance.failures = 0
        return
      }
      const nowMs = now()
      const isResting = instance.pausedUntilMs > nowMs
      instance.isReachable = outcome === 'failing'
      // Of many requests that fail at once the first says it.
      if (isResting) return
      const doubledMs = firstPauseMs * 2 ** instance.failures
      const pauseMs = instance.isReachable ? failingPauseMs : Math.min(maxPauseMs, doubledMs)
      instance.failures = instance.isReachable ? 0 : instance.failures + 1
      instance.pausedUntilMs = nowMs + pauseMs
      log.warn({ origin: instance.origin, pause_ms: pauseMs, outcome }, 'an instance of a service fails')
    },
    close: () => Promise.all(instances.flatMap(({ pool, onePool }) => [pool.destroy(), onePool?.destroy()])),
  }
}

/** One that rests less; of those that do not rest, and of those that do but answer, the one with fewer under way. */
function isBetter(one: Instance, other: Instance, nowMs: number): boolean {
  const [rest, otherRest] = [restOf(one, nowMs), restOf(other, nowMs)]
  if (rest !== otherRest) return rest < otherRest
  // When none can be reached, the one whose rest ends first: better a try than a refusal.
  return rest === 2 ? one.pausedUntilMs < other.pausedUntilMs : one.inFlight < other.inFlight
}

function restOf({ pausedUntilMs, isReachable }: Instance, nowMs: number): 0 | 1 | 2 {
  if (pausedUntilMs <= nowMs) return 0
  return isReachable ? 1 : 2
}
