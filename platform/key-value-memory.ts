import { randomUUID } from 'node:crypto'
import { assertTtl, type KeyValue, type Listener } from './key-value.ts'

type Entry = { value: string; expiresAtMs: number }

/**
 * Key-value in this process's memory, for one process that runs alone.
 *
 * Expired entries are dropped when they are asked for, and all of them whenever as many writes have happened as
 * there are entries: at most about half of what is held is expired, without a timer.
 * @param options.now milliseconds; tests pass their own clock
 */
export function createMemoryKeyValue(options: { now?: () => number } = {}): KeyValue & { size(): number } {
  const now = options.now ?? Date.now
  const entries = new Map<string, Entry>()
  const listeners = new Map<string, Set<Listener>>()
  let writesUntilSweep = sweepMinWrites

  function live(key: string): Entry | undefined {
    const entry = entries.get(key)
    if (!entry || entry.expiresAtMs > now()) return entry
    entries.delete(key)
    return undefined
  }

  function store(key: string, value: string, ttlMs: number | undefined): void {
    writesUntilSweep -= 1
    if (writesUntilSweep <= 0) sweep()
    entries.set(key, { value, expiresAtMs: ttlMs === undefined ? Infinity : now() + ttlMs })
  }

  function sweep(): void {
    const time = now()
    for (const [key, entry] of entries) if (entry.expiresAtMs <= time) entries.delete(key)
    writesUntilSweep = Math.max(sweepMinWrites, entries.size)
  }

  return {
    size: () => entries.size,
    get: async (key) => live(key)?.value,
    has: async (key) => live(key) !== undefined,
    async set(key, value, { ttlMs, onlyIfAbsent } = {}) {
      assertTtl(ttlMs)
      if (onlyIfAbsent && live(key)) return false
      store(key, value, ttlMs)
      return true
    },
    async replace(key, expected, value, { ttlMs } = {}) {
      assertTtl(ttlMs)
      if (live(key)?.value !== expected) return false
      store(key, value, ttlMs)
      return true
    },
    delete: async (key) => live(key) !== undefined && entries.delete(key),
    async getAndDelete(key) {
      const entry = live(key)
      entries.delete(key)
      return entry?.value
    },
    async setMany(batch, { ttlMs } = {}) {
      assertTtl(ttlMs)
      for (const [key, value] of batch) store(key, value, ttlMs)
    },
    async acquireLease(key, ttlMs) {
      assertTtl(ttlMs)
      if (live(key)) return undefined
      const token = randomUUID()
      store(key, token, ttlMs)
      const held = () => live(key)?.value === token
      return {
        token,
        async renew() {
          if (!held()) return false
          store(key, token, ttlMs)
          return true
        },
        release: async () => held() && entries.delete(key),
      }
    },
    async publish(channel, messages) {
      // After this, as over a connection: a listener never runs within the publisher.
      for (const listener of listeners.get(channel) ?? []) {
        for (const message of messages)
          setImmediate(() => listeners.get(channel)?.has(listener) && listener.onMessage(message))
      }
    },
    async subscribe(channel, listener) {
      const others = listeners.get(channel) ?? new Set()
      listeners.set(channel, others.add(listener))
      return async () => void others.delete(listener)
    },
    check: async () => {},
    async close() {
      entries.clear()
      listeners.clear()
    },
  }
}

const sweepMinWrites = 1_000
