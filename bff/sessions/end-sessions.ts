import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import { type Session, sessionKey } from './session.ts'
import type { SessionIndex, SessionOwner } from './session-index.ts'

type Owner = Pick<Session, 'subject' | 'providerSessionId'>

export type EndSessions = ReturnType<typeof createEndSessions>

/**
 * Ends sessions, in the one order that can be cut off anywhere and done again: first no sign-in under way may begin one,
 * then the sessions go, and last what finds them. While a session lives, something names it.
 */
export function createEndSessions(options: { keyValue: KeyValue; index: SessionIndex; log: Log }) {
  const { keyValue, index, log } = options

  /** @returns how many there were to end */
  async function end(hashes: string[], forget: () => Promise<void>): Promise<number> {
    const ended = await Promise.all(hashes.map((hash) => keyValue.delete(sessionKey(hash))))
    // They are over: that a list names them for a while longer is no reason to say that they are not.
    await forget().catch((err) => log.warn({ err }, 'an ended session is still listed'))
    return ended.filter(Boolean).length
  }

  const several = (owner: Owner, hashes: string[]) => end(hashes, () => index.remove(owner, hashes))

  return {
    /** Of one owner. */
    several,

    /** Whether there was one to end. */
    one: async (owner: Owner, hash: string) => (await several(owner, [hash])) > 0,

    /** Those of an owner, and those that are about to begin. */
    async all(owner: SessionOwner): Promise<number> {
      await index.markEnded(owner)
      const hashes = (await index.listOf(owner)).map(({ hash }) => hash)
      return end(hashes, () => index.removeOf(owner, hashes))
    },
  }
}
