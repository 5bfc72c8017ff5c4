/** Exclusive, for a bounded time. Whoever holds it proves it with the token. */
export type Lease = {
  token: string
  /** Holds on for another full term; false when the lease was lost, and then its work must stop. */
  renew(): Promise<boolean>
  /** Lets go; false when the lease was lost before. */
  release(): Promise<boolean>
}

/**
 * Small strings by key, some with a time to live: sessions, report generations, leases. And messages to who listens.
 *
 * Two implementations, memory and Redis, pass the one suite in `key-value.suite.ts`. Every method is atomic
 * across instances and fails with `TENDON-PLATFORM-012` when the store cannot be reached. A time to live is a
 * positive whole number of milliseconds, anything else a RangeError.
 */
export type KeyValue = {
  get(key: string): Promise<string | undefined>
  /** Whether the key is there, without its value. */
  has(key: string): Promise<boolean>
  /**
   * Sets value and time to live; without `ttlMs` the key stays, also when it had a time to live before.
   * False, and nothing is changed, when `onlyIfAbsent` is asked and the key is there.
   */
  set(key: string, value: string, options?: SetOptions): Promise<boolean>
  /**
   * Sets value and time to live as `set` does, if the key still has the value that was read: false, and nothing
   * is changed, when it has another or is gone. So what was deleted meanwhile is not written back.
   */
  replace(
    key: string,
    expected: string,
    value: string,
    options?: { ttlMs?: number | undefined },
  ): Promise<boolean>
  /** Whether the key was there. */
  delete(key: string): Promise<boolean>
  /** Takes the value away: of many who ask at once, one gets it. */
  getAndDelete(key: string): Promise<string | undefined>
  /** Sets all entries; each is atomic, the batch as a whole is not. */
  setMany(
    entries: Iterable<readonly [key: string, value: string]>,
    options?: { ttlMs?: number | undefined },
  ): Promise<void>
  /** The lease on this key, or undefined while somebody else holds it. It ends by itself after `ttlMs`. */
  acquireLease(key: string, ttlMs: number): Promise<Lease | undefined>
  /** Tells all who listen on the channel now, in whichever instance. Nothing is kept for who is away. */
  publish(channel: string, messages: readonly string[]): Promise<void>
  /**
   * Listens from when this resolves until the returned function is called, or the store closed. Messages may be missed
   * while the connection is lost: `onResume` is called when it stands again.
   */
  subscribe(channel: string, listener: Listener): Promise<() => Promise<void>>
  /** Fails when the store cannot be used. */
  check(): Promise<void>
  close(): Promise<void>
}

export type Listener = { onMessage(message: string): void; onResume(): void }

type SetOptions = { ttlMs?: number | undefined; onlyIfAbsent?: boolean | undefined }

export function assertTtl(ttlMs: number | undefined): void {
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs > 0)) {
    throw new RangeError(`ttlMs must be a positive whole number of milliseconds, not ${ttlMs}`)
  }
}
