import {
  generationKeyPrefix,
  invalidationMessage,
  invalidationsChannel,
} from '@tendon/contracts/invalidations.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'

/** What is said of a user who has no generation: nothing was computed for them since the store was emptied. */
const noGeneration = 'none'
const retryMs = 1_000

export type InvalidationHub = {
  /**
   * Tells of each new generation of this user from now on, until the returned function is called.
   * @param since the generation heard last; when it is another one by now, that is told at once
   * @returns the present generation
   */
  listen(
    userId: string,
    since: string | undefined,
    onChange: (generation: string) => void,
  ): Promise<{ generation: string; leave: () => void }>
  start(): void
  stop(): Promise<void>
}

type Listener = { heard: string; onChange: (generation: string) => void }

/**
 * Who of those connected to this instance is to be told that their reports are made anew.
 *
 * The generations in the store are what counts, messages only bring news of them soon. So nothing has to be kept for
 * who was away: whoever comes back says what they heard last, and after this instance itself was away it compares all
 * that it has.
 */
export function createInvalidationHub(options: { keyValue: KeyValue; log: Log }): InvalidationHub {
  const { keyValue, log } = options
  const listeners = new Map<string, Set<Listener>>()
  let subscribed: Promise<() => Promise<void>> | undefined
  const retries = new Set<NodeJS.Timeout>()
  let isStopped = false

  const currentOf = async (userId: string) =>
    (await keyValue.get(generationKeyPrefix + userId)) ?? noGeneration

  function tell(userId: string, generation: string): void {
    for (const listener of listeners.get(userId) ?? []) {
      if (listener.heard === generation) continue
      listener.heard = generation
      listener.onChange(generation)
    }
  }

  /** Until it has succeeded: the connection that listens may be back before the one that asks. */
  async function compareAll(): Promise<void> {
    try {
      for (const userId of listeners.keys()) tell(userId, await currentOf(userId))
    } catch (err) {
      if (isStopped) return
      log.warn({ err }, 'generations were not compared; trying again')
      retryLater(compareAll)
    }
  }

  function retryLater(work: () => Promise<unknown>): void {
    const timer = setTimeout(() => {
      retries.delete(timer)
      void work().catch(() => {})
    }, retryMs).unref()
    retries.add(timer)
  }

  function subscribe(): Promise<() => Promise<void>> {
    const subscribing = keyValue.subscribe(invalidationsChannel, {
      onMessage(text) {
        for (const [userId, generation] of invalidationMessage.parse(JSON.parse(text)))
          tell(userId, generation)
      },
      onResume: () => void compareAll(),
    })
    subscribing.catch((err: unknown) => {
      subscribed = undefined
      if (isStopped) return
      log.warn({ err }, 'invalidations are not heard; trying again')
      retryLater(ensureSubscribed)
    })
    return subscribing
  }

  function ensureSubscribed(): Promise<() => Promise<void>> {
    subscribed ??= subscribe()
    return subscribed
  }

  return {
    async listen(userId, since, onChange) {
      // In this order: what changes after the generation was read is heard.
      await ensureSubscribed()
      const listener: Listener = { heard: since ?? '', onChange }
      const others = listeners.get(userId) ?? new Set()
      listeners.set(userId, others.add(listener))
      const leave = () => {
        others.delete(listener)
        if (others.size === 0 && listeners.get(userId) === others) listeners.delete(userId)
      }
      try {
        const generation = await currentOf(userId)
        if (since !== undefined && since !== generation) tell(userId, generation)
        else listener.heard = generation
        return { generation, leave }
      } catch (error) {
        leave()
        throw error
      }
    },
    start: () => void ensureSubscribed().catch(() => {}),
    async stop() {
      isStopped = true
      for (const timer of retries) clearTimeout(timer)
      listeners.clear()
      await subscribed?.then((leave) => leave()).catch(() => {})
    },
  }
}
