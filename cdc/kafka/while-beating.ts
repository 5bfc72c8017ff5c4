import { setTimeout as delay } from 'node:timers/promises'

const heartbeatIntervalMs = 1_000

/**
 * Keeps the membership in the consumer group while a batch is dealt with, however long that takes. A group goes on without a
 * member that it has not heard of for ten seconds: its batch would be begun again, take as long, and never end.
 * @param work is told by the signal when its batch has become another member's
 * @throws what the heartbeat is answered with when the group rebalances, or has gone on: the consumer joins it again
 */
export async function whileBeating<Result>(
  heartbeat: () => Promise<void>,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const ending = new AbortController()
  const beat = async (): Promise<never> => {
    for (;;) {
      await delay(heartbeatIntervalMs, undefined, { signal: ending.signal })
      await heartbeat()
    }
  }
  try {
    return await Promise.race([work(ending.signal), beat()])
  } finally {
    ending.abort()
  }
}
