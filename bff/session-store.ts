import { createHash, randomBytes } from 'node:crypto'
import type { SessionUser } from '@tendon/contracts/session-api.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { bffErrors } from './errors.ts'
import type { Identity, IssuedTokens } from './oidc-client.ts'
import type { SessionIndex } from './session-index.ts'
import type { TokenEncryption } from './token-encryption.ts'

/** What is kept of a sign-in; encrypted as a whole, for names are nobody else's business either. */
export type Session = Omit<IssuedTokens, 'identity'> & {
  user: SessionUser
  /** The provider's id of the account. */
  subject: string
  /** The provider's id of its own session. */
  providerSessionId?: string
  /** However often it is refreshed, the session ends here. */
  endsAtMs: number
}

/** A session as it was read: `stored` is what a later write must still find there. */
export type LoadedSession = { id: string; hash: string; stored: string; session: Session }

const idBytes = 32
const idPattern = /^[A-Za-z0-9_-]{43}$/
const sessionKey = (hash: string) => `tendon:session:${hash}`

export type SessionStore = ReturnType<typeof createSessionStore>

/**
 * Sessions under the SHA-256 of their id, so that whoever reads the store cannot take one over. The id has 256
 * random bits: no salt or slow hash is needed.
 */
export function createSessionStore(options: {
  keyValue: KeyValue
  encryption: TokenEncryption
  index: SessionIndex
  now: () => number
}) {
  const { keyValue, encryption, index, now } = options
  const seal = (id: string, session: Session) =>
    encryption.encrypt(JSON.stringify(session), associatedData(id))

  return {
    /**
     * Starts a session and returns its id, which only the browser keeps.
     * @throws TENDON-BFF-002 when the provider has ended the sign-in in the meantime
     */
    async create(session: Session): Promise<string> {
      const id = randomBytes(idBytes).toString('base64url')
      const hash = hashSessionId(id)
      await keyValue.set(sessionKey(hash), seal(id, session), { ttlMs: remainingMs(session, now()) })
      if (await index.add(session, hash)) return id
      await keyValue.delete(sessionKey(hash))
      throw bffErrors.sessionEnded('You have been signed out while you signed in.')
    },

    /** The session of this id; undefined when there is none, or its key is no longer known. */
    async load(id: string): Promise<LoadedSession | undefined> {
      if (!idPattern.test(id)) return undefined
      const hash = hashSessionId(id)
      const stored = await keyValue.get(sessionKey(hash))
      const text = stored && encryption.decrypt(stored, associatedData(id))
      if (!stored || !text) return undefined
      const session: Session = JSON.parse(text)
      return session.endsAtMs > now() ? { id, hash, stored, session } : undefined
    },

    /** Writes a session back, unless it has ended or changed since it was read: then undefined. */
    async replace(loaded: LoadedSession, session: Session): Promise<LoadedSession | undefined> {
      const stored = seal(loaded.id, session)
      const options = { ttlMs: remainingMs(session, now()) }
      const replaced = await keyValue.replace(sessionKey(loaded.hash), loaded.stored, stored, options)
      return replaced ? { ...loaded, stored, session } : undefined
    },

    /** Whether the session has not been ended in the meantime. */
    async exists(hash: string): Promise<boolean> {
      return (await keyValue.get(sessionKey(hash))) !== undefined
    },

    async end(hash: string): Promise<void> {
      await keyValue.delete(sessionKey(hash))
    },
  }
}

/** A session of what the provider said. */
export function toSession(issued: IssuedTokens & { identity: Identity }, endsAtMs: number): Session {
  const { identity, ...tokens } = issued
  const username = identity.preferred_username ?? identity.sub
  return {
    ...tokens,
    user: {
      name: identity.name ?? username,
      username,
      roles: identity.roles,
      customer_id: identity.customer_id ?? null,
    },
    subject: identity.sub,
    ...(identity.sid && { providerSessionId: identity.sid }),
    endsAtMs,
  }
}

/** The session with the tokens that a refresh gave, and what their ID token says by now, when there is one. */
export function renewSession(session: Session, issued: IssuedTokens): Session {
  const { identity, ...tokens } = issued
  return { ...session, ...(identity ? toSession({ ...tokens, identity }, session.endsAtMs) : tokens) }
}

/** The text is hashed, not the bytes it stands for: base64url has several spellings of the same 32 bytes. */
function hashSessionId(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

const associatedData = (id: string) => `session:${id}`

const remainingMs = (session: Session, nowMs: number) => Math.max(1, Math.ceil(session.endsAtMs - nowMs))
