import type { KeyValue } from '@tendon/platform/key-value.ts'
import { z } from 'zod'
import { keysTimeoutMs, providerTimeoutMs } from '../relying-party/provider-connection.ts'
import { digest } from './digest.ts'
import { type Session, sessionKey } from './session.ts'
import type { TokenEncryption } from './token-encryption.ts'
import type { Visit } from './visit.ts'

/** A session as its owner sees it in a list. */
export type ListedSession = Visit & {
  hash: string
  handle: string
  startedAtMs: number
  lastUsedAtMs: number
  endsAtMs: number
}

/** What is sealed of it, as it is read back. */
const storedDetails = z.object({
  device: z.string(),
  address: z.string(),
  handle: z.string(),
  startedAtMs: z.number(),
  lastUsedAtMs: z.number(),
})

/** One that cannot be read here, as under a key that is not known: it can be ended, and no more can be said of it. */
export type UnreadableSession = Line

/** A session as a line of a list: its hash, its end, and what else is known of it. */
type Line = { hash: string; endsAtMs: number; sealed: string }

export const isReadable = (entry: ListedSession | UnreadableSession): entry is ListedSession =>
  !('sealed' in entry)

/** Whose sessions: those of one session at the provider (`sid`), or all of an account, as `accountOf` names it. */
export type SessionOwner = { sid: string } | { account: string }

/** Whom the staff name. */
export type NamedByStaff = { username: string } | { customer_id: string }

/** What names an account in the store. */
export const accountOf = (subject: string) => digest(subject)

type Owner = Pick<Session, 'subject' | 'providerSessionId' | 'user' | 'handle' | 'lastUsedAtMs' | 'endsAtMs'>

/** More than anybody has browsers; when there are more, the oldest sessions end. */
const maxEntries = 50

/** Longer than a sign-in takes once the provider has answered: its metadata, the tokens, the keys, the writes. */
const endedMs = 2 * providerTimeoutMs + keysTimeoutMs + 30_000

export type SessionIndex = ReturnType<typeof createSessionIndex>

/**
 * Finds sessions by the account (`sub`) or by the session at the provider (`sid`): for the list of a person's own
 * sessions, and to end what a back-channel logout or a member of the staff names. What it says of who was where is
 * encrypted; its keys are hashed, so that they name nobody either. Which sessions there are, and until when, is not: also
 * an instance that lacks a key can end them.
 *
 * @param options.sessionMs how long a session lasts at most
 */
export function createSessionIndex(options: {
  keyValue: KeyValue
  encryption: TokenEncryption
  sessionMs: number
  now: () => number
}) {
  const { keyValue, encryption, sessionMs, now } = options

  const seal = (key: string, { hash, endsAtMs, ...details }: ListedSession): Line => ({
    hash,
    endsAtMs,
    sealed: encryption.encrypt(JSON.stringify(details), associatedData(key, hash, endsAtMs)),
  })

  function open(key: string, line: Line): ListedSession | UnreadableSession {
    const { hash, endsAtMs, sealed } = line
    const text = encryption.decrypt(sealed, associatedData(key, hash, endsAtMs))
    const details = text && storedDetails.safeParse(JSON.parse(text)).data
    return details ? { ...details, hash, endsAtMs } : line
  }

  function edited(key: string, line: Line, edit: (session: ListedSession) => ListedSession): Line {
    const session = open(key, line)
    return isReadable(session) ? seal(key, edit(session)) : line
  }

  const underNewestKey = (key: string, line: Line) =>
    encryption.isNewest(line.sealed) ? line : edited(key, line, (session) => session)

  const parse = (stored: string | undefined): Line[] =>
    (stored ? stored.split('\n') : [])
      .map((line) => {
        const [hash = '', endsAtMs, sealed = ''] = line.split(' ')
        return { hash, endsAtMs: Number(endsAtMs), sealed }
      })
      .filter(({ endsAtMs }) => endsAtMs > now())

  /** Writes what `edit` makes of a value; whoever else writes at the same moment makes it fail, and then it is read again. */
  async function change(
    key: string,
    edit: (stored: string | undefined) => { value: string; ttlMs: number } | undefined,
  ): Promise<void> {
    for (;;) {
      const stored = await keyValue.get(key)
      const edited = edit(stored)
      if (!edited) return
      const { value, ttlMs } = edited
      const written =
        stored === undefined
          ? await keyValue.set(key, value, { ttlMs, onlyIfAbsent: true })
          : await keyValue.replace(key, stored, value, { ttlMs })
      if (written) return
    }
  }

  const changeList = (key: string, edit: (lines: Line[]) => Line[]): Promise<void> =>
    change(key, (stored) => {
      const lines = edit(parse(stored)).map((line) => underNewestKey(key, line))
      if (stored === undefined && lines.length === 0) return undefined
      return {
        value: lines.map(({ hash, endsAtMs, sealed }) => `${hash} ${endsAtMs} ${sealed}`).join('\n'),
        ttlMs: Math.max(1, Math.ceil(Math.max(0, ...lines.map(({ endsAtMs }) => endsAtMs)) - now())),
      }
    })

  /**
   * @returns when there are too many now, those that nobody has used for long, which are over; and of those that live the
   * oldest, if they are too many still
   */
  async function addTo(key: string, session: ListedSession): Promise<string[]> {
    let hashes: string[] = []
    await changeList(key, (lines) => {
      hashes = [...lines.map(({ hash }) => hash), session.hash]
      return [...lines, seal(key, session)]
    })
    if (hashes.length <= maxEntries) return []
    const areLive = await Promise.all(hashes.map((hash) => keyValue.has(sessionKey(hash))))
    const live = hashes.filter((_, position) => areLive[position])
    const kept = new Set(live.slice(-maxEntries))
    return hashes.filter((hash) => !kept.has(hash))
  }

  async function removeFrom(keys: string[], hashes: string[]): Promise<void> {
    for (const key of keys) {
      await changeList(key, (lines) => lines.filter(({ hash }) => !hashes.includes(hash)))
    }
  }

  async function listAt(key: string) {
    return parse(await keyValue.get(key)).map((line) => open(key, line))
  }

  /** The staff know a person by the user name, or as a customer: for as long as any session may last, as it was noted last. */
  async function nameAccount({ subject, user }: Owner): Promise<void> {
    const account = accountOf(subject)
    await keyValue.set(usernameKey(user.username), account, { ttlMs: sessionMs })
    if (user.customer_id === null) return
    // A customer may have more than one login.
    await change(customerKey(user.customer_id), (stored) => ({
      value: [...new Set(accountsIn(stored)).add(account)].join('\n'),
      ttlMs: sessionMs,
    }))
  }

  return {
    /**
     * Not accepted when the owner was signed out while this sign-in was under way: then it must not begin. One that has
     * begun since is another matter: the provider was asked anew. (The clocks of instances differ by less than people take
     * from the end of all their sessions to signing in.)
     * @returns `tooMany`, for the caller to end
     */
    async add(owner: Owner, session: Visit & { hash: string; startedAtMs: number }, begunAtMs: number) {
      const { handle, lastUsedAtMs, endsAtMs } = owner
      const keys = keysOf(owner)
      const tooMany: string[] = []
      for (const key of keys) {
        tooMany.push(...(await addTo(key, { ...session, handle, lastUsedAtMs, endsAtMs })))
      }
      await nameAccount(owner)
      // Looked at after the entry is written, as `endSessions` reads after it has marked: of the two, one sees the other.
      const [accountEnded, signInEnded] = await Promise.all(keys.map((key) => keyValue.get(endedKey(key))))
      // A session at the provider does not come back once it has ended, whatever the time.
      const accepted =
        signInEnded === undefined && (accountEnded === undefined || Number(accountEnded) < begunAtMs)
      return { accepted, tooMany }
    },

    /** The account's sessions, oldest first; those that ended before their time may be among them. */
    list: (subject: string) => listAt(accountKey(accountOf(subject))),

    listOf: (owner: SessionOwner) => listAt(keyOf(owner)),

    /** Writes down when and from where a session was used last; and so brings its lists under the newest key. */
    async note(owner: Owner, hash: string, used: Visit & { lastUsedAtMs: number }): Promise<void> {
      for (const key of keysOf(owner)) {
        await changeList(key, (lines) =>
          lines.map((line) =>
            line.hash === hash ? edited(key, line, (session) => ({ ...session, ...used })) : line,
          ),
        )
      }
      await nameAccount(owner)
    },

    remove: (owner: Pick<Owner, 'subject' | 'providerSessionId'>, hashes: string[]) =>
      removeFrom(keysOf(owner), hashes),

    removeOf: (owner: SessionOwner, hashes: string[]) => removeFrom([keyOf(owner)], hashes),

    /** No sign-in that has begun before this is accepted any more. */
    async markEnded(owner: SessionOwner): Promise<void> {
      await keyValue.set(endedKey(keyOf(owner)), String(now()), { ttlMs: endedMs })
    },

    /**
     * Whose sessions a user name's are, or a customer's; none when nobody of this name, or this customer, had one of late.
     * Keycloak takes a name in any case, and calls it by its small letters.
     */
    async accountsOf(whom: NamedByStaff): Promise<string[]> {
      if ('customer_id' in whom) return accountsIn(await keyValue.get(customerKey(whom.customer_id)))
      const asGiven = await keyValue.get(usernameKey(whom.username))
      return accountsIn(asGiven ?? (await keyValue.get(usernameKey(whom.username.toLowerCase()))))
    },
  }
}

const associatedData = (key: string, hash: string, endsAtMs: number) => `${key} ${hash} ${endsAtMs}`

const keyOf = (owner: SessionOwner) =>
  'sid' in owner ? providerSessionKey(owner.sid) : accountKey(owner.account)

function keysOf({ subject, providerSessionId }: Pick<Owner, 'subject' | 'providerSessionId'>): string[] {
  const keys = [accountKey(accountOf(subject))]
  return providerSessionId ? [...keys, providerSessionKey(providerSessionId)] : keys
}

const accountKey = (account: string) => `tendon:sessions-of-account:${account}`
const providerSessionKey = (sid: string) => `tendon:sessions-of-sid:${digest(sid)}`
const usernameKey = (username: string) => `tendon:account-of-username:${digest(username)}`
const customerKey = (customerId: string) => `tendon:accounts-of-customer:${digest(customerId.toLowerCase())}`
const accountsIn = (stored: string | undefined) => stored?.split('\n') ?? []
const endedKey = (key: string) => `${key}:ended`
