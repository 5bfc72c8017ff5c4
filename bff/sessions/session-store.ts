import { randomBytes } from 'node:crypto'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { bffErrors } from '../errors.ts'
import type { Identity, IssuedTokens } from '../relying-party/issued-tokens.ts'
import { digest } from './digest.ts'
import type { EndSessions } from './end-sessions.ts'
import {
  handleOf,
  type LoadedSession,
  type Session,
  sessionKey,
  storedSession,
  toSession,
} from './session.ts'
import type { SessionIndex } from './session-index.ts'
import type { TokenEncryption } from './token-encryption.ts'
import type { Visit } from './visit.ts'

const idBytes = 32
/** Whether it is one by its form. */
export const isSessionId = (text: string) => /^[A-Za-z0-9_-]{43}$/.test(text)

/** The last use is written down once in this time, so that not every request is a write. */
const maxUseIntervalMs = 60_000
/** Sessions whose decrypted form is kept beside the text it came from. */
const maxOpened = 2_000

export type SessionStore = ReturnType<typeof createSessionStore>

/**
 * Sessions under the SHA-256 of their id, so that whoever reads the store cannot take one over. The id has 256
 * random bits: no salt or slow hash is needed.
 *
 * @param options.sessionMs how long a session lasts at most
 * @param options.idleMs how long it lasts when it is not used
 */
export function createSessionStore(options: {
  keyValue: KeyValue
  encryption: TokenEncryption
  index: SessionIndex
  endSessions: EndSessions
  sessionMs: number
  idleMs: number
  now: () => number
}) {
  const { keyValue, encryption, index, endSessions, sessionMs, idleMs, now } = options
  const useIntervalMs = Math.min(maxUseIntervalMs, idleMs / 10)
  /** What was decrypted last, by id: the store is asked each time, and the same text says the same. */
  const opened = new Map<string, LoadedSession>()

  const seal = (id: string, session: Session) =>
    encryption.encrypt(JSON.stringify(session), associatedData(id))
  const expiresAtMs = ({ endsAtMs, lastUsedAtMs }: Session) => Math.min(endsAtMs, lastUsedAtMs + idleMs)
  const ttlMs = (session: Session) => Math.max(1, Math.ceil(expiresAtMs(session) - now()))

  function open(id: string, hash: string, stored: string): LoadedSession | undefined {
    const known = opened.get(id)
    if (known?.stored === stored) return known
    const text = encryption.decrypt(stored, associatedData(id))
    if (!text) return undefined
    const { data: session } = storedSession.safeParse(JSON.parse(text))
    if (!session) return undefined
    const loaded = { id, hash, stored, session }
    opened.delete(id)
    opened.set(id, loaded)
    const [oldest] = opened.keys()
    if (opened.size > maxOpened && oldest !== undefined) opened.delete(oldest)
    return loaded
  }

  async function replace(loaded: LoadedSession, session: Session): Promise<LoadedSession | undefined> {
    const stored = seal(loaded.id, session)
    const replaced = await keyValue.replace(sessionKey(loaded.hash), loaded.stored, stored, {
      ttlMs: ttlMs(session),
    })
    return replaced ? { ...loaded, stored, session } : undefined
  }

  async function load(id: string): Promise<LoadedSession | undefined> {
    if (!isSessionId(id)) return undefined
    const hash = opened.get(id)?.hash ?? hashSessionId(id)
    const stored = await keyValue.get(sessionKey(hash))
    if (stored === undefined) opened.delete(id)
    const loaded = stored === undefined ? undefined : open(id, hash, stored)
    return loaded && expiresAtMs(loaded.session) > now() ? loaded : undefined
  }

  const exists = (hash: string): Promise<boolean> => keyValue.has(sessionKey(hash))

  return {
    /**
     * Starts a session and returns it; its id is only the browser's to keep.
     * @param begunAtMs when the sign-in began that it comes of
     * @throws TENDON-BFF-002 when the provider has ended the sign-in in the meantime
     */
    async create(
      issued: IssuedTokens & { identity: Identity },
      visit: Visit,
      begunAtMs: number,
    ): Promise<LoadedSession> {
      const id = randomBytes(idBytes).toString('base64url')
      const hash = hashSessionId(id)
      const startedAtMs = now()
      const session = toSession(issued, {
        handle: handleOf(hash),
        lastUsedAtMs: startedAtMs,
        endsAtMs: startedAtMs + sessionMs,
      })
      const stored = seal(id, session)
      await keyValue.set(sessionKey(hash), stored, { ttlMs: ttlMs(session) })
      const entry = { hash, startedAtMs, ...visit }
      const { accepted, tooMany } = await index.add(session, entry, begunAtMs)
      // More sessions than anybody has browsers.
      if (tooMany.length > 0) await endSessions.several(session, tooMany)
      if (accepted) return { id, hash, stored, session }
      await endSessions.one(session, hash)
      throw bffErrors.sessionEnded('You have been signed out while you signed in.')
    },

    /** The session of this id; undefined when there is none, or none that can be read here. */
    load,

    /** Whether a use now need not be written down, and no newer key waits. */
    isNoted: ({ session, stored }: LoadedSession): boolean =>
      now() - session.lastUsedAtMs < useIntervalMs && encryption.isNewest(stored),

    /**
     * Notes that a person uses the session, which begins its idle time anew; and brings it under the newest key. When a
     * refresh has written meanwhile, its tokens stay.
     * @throws TENDON-BFF-002 when the session has ended at this moment
     */
    async use(loaded: LoadedSession, visit: Visit): Promise<LoadedSession> {
      const lastUsedAtMs = now()
      let latest = loaded
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const used = await replace(latest, { ...latest.session, lastUsedAtMs })
        if (used) {
          await index.note(used.session, used.hash, { lastUsedAtMs, ...visit })
          return used
        }
        const again = await load(loaded.id)
        if (!again) throw bffErrors.sessionEnded('You have been signed out.')
        latest = again
      }
      // Others use it too, and so often that its idle time is theirs to begin anew.
      return latest
    },

    /** Writes a session back, unless it has ended or changed since it was read: then undefined. */
    replace,

    /** Ends the session of this id though it cannot be read here, for want of the key. @returns whether there was one */
    discard: async (id: string): Promise<boolean> =>
      isSessionId(id) && (await keyValue.delete(sessionKey(hashSessionId(id)))),

    /** Whether the session has not been ended in the meantime. */
    exists,

    /** Asked before anything is said or done for a session. @throws TENDON-BFF-002 when it has ended in the meantime */
    async require(hash: string): Promise<void> {
      if (!(await exists(hash))) throw bffErrors.sessionEnded('You have been signed out.')
    },
  }
}

/** The text is hashed, not the bytes it stands for: base64url has several spellings of the same 32 bytes. */
function hashSessionId(id: string): string {
  return digest(id)
}

const associatedData = (id: string) => `session:${id}`
