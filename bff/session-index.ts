import { createHash } from 'node:crypto'
import type { KeyValue } from '@tendon/platform/key-value.ts'

/** The sessions of an account, or of one session at the provider, by their hashes. */
type Entry = { hash: string; endsAtMs: number }

type Owner = { subject: string; providerSessionId?: string; endsAtMs: number }

/** More than anybody has browsers; the oldest are forgotten, and end by their own time. */
const maxEntries = 50

/** Longer than the rest of a sign-in takes once the provider has answered. */
const endedMs = 10_000

export type SessionIndex = ReturnType<typeof createSessionIndex>

/** Finds the sessions that a back-channel logout names, by the account (`sub`) or the provider's session (`sid`). */
export function createSessionIndex(options: { keyValue: KeyValue; now: () => number }) {
  const { keyValue, now } = options

  async function addTo(key: string, entry: Entry): Promise<void> {
    for (;;) {
      const stored = await keyValue.get(key)
      const live = parseEntries(stored).filter(({ endsAtMs }) => endsAtMs > now())
      const value = JSON.stringify([...live, entry].slice(-maxEntries))
      const ttlMs = Math.max(1, Math.ceil(entry.endsAtMs - now()))
      // Whoever else adds at the same moment makes this fail, and then it is read again.
      const written =
        stored === undefined
          ? await keyValue.set(key, value, { ttlMs, onlyIfAbsent: true })
          : await keyValue.replace(key, stored, value, { ttlMs })
      if (written) return
    }
  }

  return {
    /** False when the owner was signed out while this sign-in was under way: then the session must not begin. */
    async add(owner: Owner, hash: string): Promise<boolean> {
      const keys = [accountKey(owner.subject)]
      if (owner.providerSessionId) keys.push(providerSessionKey(owner.providerSessionId))
      for (const key of keys) await addTo(key, { hash, endsAtMs: owner.endsAtMs })
      // Looked at after the entry is written, as `take` reads after it has marked: of the two, one sees the other.
      const ended = await Promise.all(keys.map((key) => keyValue.get(endedKey(key))))
      return ended.every((mark) => mark === undefined)
    },
    /** Takes the hashes of the sessions away: those of `sid` when it is given, else all of `sub`. */
    async take(owner: { sub: string | undefined; sid: string | undefined }): Promise<string[]> {
      const key = owner.sid ? providerSessionKey(owner.sid) : accountKey(owner.sub ?? '')
      await keyValue.set(endedKey(key), '1', { ttlMs: endedMs })
      return parseEntries(await keyValue.getAndDelete(key)).map(({ hash }) => hash)
    },
  }
}

const parseEntries = (stored: string | undefined): Entry[] => (stored ? JSON.parse(stored) : [])

const accountKey = (subject: string) => `tendon:sessions-of-account:${digest(subject)}`
const providerSessionKey = (sid: string) => `tendon:sessions-of-sid:${digest(sid)}`
const endedKey = (key: string) => `${key}:ended`

/** Hashed, so that the store's keys name nobody. */
const digest = (text: string) => createHash('sha256').update(text).digest('base64url')
