import type { RedisClient } from '@tendon/platform/redis-connection.ts'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { bffErrors } from '../errors.ts'
import { networkOf } from './client-address.ts'

/**
 * Requests a minute: by address sign-ins, callbacks, sign-outs, the API's without a session, those with the cookie of
 * one, and the provider's; by session the API's.
 */
export type RatesPerMinute = {
  login: number
  callback: number
  signOutAddress: number
  apiAddress: number
  cookieAddress: number
  providerAddress: number
  apiSession: number
}

export type RateLimits = {
  /**
   * Counts a request.
   * @param key an address, of which an IPv6 one stands for its network; or the hash of a session
   * @param onFirstRefusal called for the first of a minute's refusals: the others would only fill a log
   * @throws TENDON-BFF-016 when there were too many in this minute
   */
  take(kind: keyof RatesPerMinute, key: string, onFirstRefusal?: () => void): Promise<void>
}

const minuteSeconds = 60
/** Requests are counted in the store so many at a time: the limit is exact to this part of itself an instance. */
const batchesPerLimit = 50
/** Addresses and sessions of which something is remembered. */
const maxRemembered = 20_000

type Prepaid = { left: number; untilMs: number }

/**
 * Rate limits that all instances share through Redis. While Redis is away each instance counts for itself.
 * @param options.redis absent for a process that runs alone
 */
export function createRateLimits(options: {
  perMinute: RatesPerMinute
  redis?: RedisClient | undefined
}): RateLimits {
  const { perMinute, redis } = options
  const limiters = Object.fromEntries(
    Object.entries(perMinute).map(([kind, points]) => [kind, createLimiter(kind, points, redis)]),
  )
  /** What was counted in the store and not yet used. */
  const prepaid = new Map<string, Prepaid>()
  /** Under way: who comes meanwhile takes from it, and does not buy another. */
  const buying = new Map<string, Promise<void>>()
  /** Whose refusal was told, until when. */
  const told = new Map<string, number>()

  function usePrepaid(name: string): boolean {
    const paid = prepaid.get(name)
    if (!paid || paid.left === 0 || paid.untilMs < performance.now()) return false
    paid.left -= 1
    return true
  }

  function isFirst(name: string, untilMs: number): boolean {
    if ((told.get(name) ?? 0) > performance.now()) return false
    if (told.size >= maxRemembered) told.clear()
    told.set(name, untilMs)
    return true
  }

  /** Counts a batch in the store, and keeps what the one who asks does not use. */
  async function buy(kind: keyof RatesPerMinute, key: string, name: string): Promise<void> {
    const batch = Math.max(1, Math.floor(perMinute[kind] / batchesPerLimit))
    const { msBeforeNext } = await limiters[kind]!.consume(key, batch)
    if (prepaid.size >= maxRemembered) prepaid.clear()
    prepaid.set(name, { left: batch - 1, untilMs: performance.now() + msBeforeNext })
  }

  return {
    async take(kind, given, onFirstRefusal) {
      const key = networkOf(given)
      const name = `${kind}:${key}`
      try {
        while (!usePrepaid(name)) {
          const others = buying.get(name)
          const purchase = others ?? buy(kind, key, name).finally(() => buying.delete(name))
          if (!others) buying.set(name, purchase)
          await purchase
          if (!others) return
        }
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal
        if (isFirst(name, performance.now() + refusal.msBeforeNext)) onFirstRefusal?.()
        throw bffErrors.tooManyRequests('There were too many requests from here in the last minute.', {
          retryAfterSeconds: Math.max(1, Math.ceil(refusal.msBeforeNext / 1000)),
        })
      }
    },
  }
}

function createLimiter(kind: string, points: number, redis: RedisClient | undefined) {
  const common = { keyPrefix: `tendon:rate:${kind}`, points, duration: minuteSeconds }
  const own = new RateLimiterMemory(common)
  if (!redis) return own
  return new RateLimiterRedis({
    ...common,
    storeClient: redis,
    rejectIfRedisNotReady: true,
    insuranceLimiter: own,
    // Whoever is over the limit costs Redis nothing more.
    inMemoryBlockOnConsumed: points + 1,
  })
}
