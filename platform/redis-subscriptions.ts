import type { Listener } from './key-value.ts'
import type { Log } from './log.ts'
import { createAsking, openRedis, type RedisClient } from './redis-connection.ts'

/**
 * Channels of Redis, on a connection of their own: one that listens takes no other commands. It is opened with the
 * first listener. When it was lost, it listens again before anybody is told that it stands.
 */
export function createRedisSubscriptions(options: { url: string; log: Log; commandTimeoutMs: number }): {
  subscribe(channel: string, listener: Listener): Promise<() => Promise<void>>
  close(): void
} {
  const { log, commandTimeoutMs } = options
  const channels = new Map<string, Set<Listener>>()
  let opened: { client: RedisClient; ask: ReturnType<typeof createAsking> } | undefined
  let isClosed = false

  function open(): NonNullable<typeof opened> {
    const client = openRedis(options)
    client.on('message', (channel: string, message: string) => {
      for (const listener of channels.get(channel) ?? []) pass(listener, channel, message)
    })
    client.on('ready', () => void listenAgain(client))
    return { client, ask: createAsking(client, commandTimeoutMs) }
  }

  /** Whoever publishes may be of another version: what a listener does not understand is as if it had been missed. */
  function pass(listener: Listener, channel: string, message: string): void {
    try {
      listener.onMessage(message)
    } catch (err) {
      log.error({ err, channel }, 'a message was not understood')
      listener.onResume()
    }
  }

  async function listenAgain(client: RedisClient): Promise<void> {
    try {
      if (channels.size > 0) await client.subscribe(...channels.keys())
      for (const listeners of channels.values()) for (const listener of listeners) listener.onResume()
    } catch (err) {
      if (isClosed) return
      log.warn({ err }, 'redis does not let listen; connecting anew')
      client.disconnect(true)
    }
  }

  return {
    async subscribe(channel, listener) {
      opened ??= open()
      const { client, ask } = opened
      const listeners = channels.get(channel) ?? new Set()
      await ask(() => client.subscribe(channel))
      channels.set(channel, listeners.add(listener))
      return async () => {
        listeners.delete(listener)
        if (listeners.size > 0 || channels.get(channel) !== listeners) return
        channels.delete(channel)
        // A connection that is away has nothing to end.
        await client.unsubscribe(channel).catch(() => {})
      }
    },
    close() {
      isClosed = true
      opened?.client.disconnect()
    },
  }
}
