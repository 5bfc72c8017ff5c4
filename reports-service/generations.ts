import type { KeyValue } from '@tendon/platform/key-value.ts'

export type Generations = {
  /** The generation of this user's reports: it changes whenever their data may have. */
  current(userId: string): Promise<string>
  /** Gives each user a new generation. What was computed for the one before is never served again. */
  renew(userIds: readonly string[]): Promise<void>
}

/**
 * A generation is unique for ever: the time in milliseconds, so that a person can read names in their order,
 * and 80 random bits. A counter would start again with an emptied store, and give old names to new data.
 * They have no time to live; one that is lost is replaced by a new one and costs a computation, nothing else.
 */
export function createGenerations(options: {
  keyValue: KeyValue
  now: () => number
  random: (bytes: number) => Buffer
}): Generations {
  const { keyValue, now, random } = options
  const next = () => now().toString(36).padStart(9, '0') + random(10).toString('hex')

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
    async renew(userIds) {
      await keyValue.setMany(userIds.map((userId) => [generationKey(userId), next()] as const))
    },
  }
}

/** Where a user's generation stands in the key-value store. */
export function generationKey(userId: string): string {
  return `tendon:generation:${userId}`
}
