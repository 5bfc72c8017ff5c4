import { generationKeyPrefix, type Invalidation } from '@tendon/contracts/invalidations.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'

export type Generations = {
  /** The generation of this user's reports: it changes whenever their data may have. */
  current(userId: string): Promise<string>
  /** Gives the user a new generation unless somebody else has done so since `generation` was read. */
  leave(userId: string, generation: string): Promise<void>
  /** Gives each user a new generation. What was computed for the one before is never served again. */
  renew(userIds: readonly string[]): Promise<Invalidation>
}

// Milliseconds since 1970 to the base 36, until the year 5188.
const timeLength = 9
const uniqueBytes = 10

/** Text that sorts by time: the time, and what makes it unique. */
export function generationAt(timeMs: number, unique: string): string {
  return timeMs.toString(36).padStart(timeLength, '0') + unique
}

/** When it began. */
export function generationTimeMs(generation: string): number {
  return Number.parseInt(generation.slice(0, timeLength), 36)
}

/**
 * A generation is unique for ever: the time in milliseconds, so that a person can read names in their order,
 * and 80 random bits. A counter would start again with an emptied store, and give old names to new data.
 * One that is lost from the store is replaced by a new one and costs a computation, nothing else.
 *
 * They have no time to live in the store. There is one a user, however often it changes (170 bytes in Redis); with a time
 * each, 100,000 that are renewed at once take Redis 0.34 s of its one thread instead of 0.13 s (measured: a script of
 * `SET … PX` beside `MSET`), of the second in which that has to be done.
 */
export function createGenerations(options: {
  keyValue: KeyValue
  now: () => number
  random: (bytes: number) => Buffer
}): Generations {
  const { keyValue, now, random } = options
  const next = () => generationAt(now(), random(uniqueBytes).toString('hex'))

  return {
    async current(userId) {
      const key = generationKey(userId)
      for (;;) {
        const known = await keyValue.get(key)
        if (known !== undefined) return known
        const first = next()
        if (await keyValue.set(key, first, { onlyIfAbsent: true })) return first
      }
    },
    async leave(userId, generation) {
      await keyValue.replace(generationKey(userId), generation, next())
    },
    async renew(userIds) {
      const timeMs = now()
      // Asked for at once: for 100,000 users one by one takes a quarter of a second, all together a hundredth (measured).
      const unique = random(uniqueBytes * userIds.length).toString('hex')
      const renewed = userIds.map((userId, index): [string, string] => {
        const start = 2 * uniqueBytes * index
        return [userId, generationAt(timeMs, unique.slice(start, start + 2 * uniqueBytes))]
      })
      await keyValue.setMany(renewed.map(([userId, generation]) => [generationKey(userId), generation]))
      return renewed
    },
  }
}

/** Where a user's generation stands in the key-value store. */
export function generationKey(userId: string): string {
  return generationKeyPrefix + userId
}
