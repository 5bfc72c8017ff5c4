import { setTimeout as delay } from 'node:timers/promises'
import { TendonError } from '@tendon/platform/errors.ts'
import type { KeyValue, Lease } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { within } from '@tendon/platform/within.ts'
import { bffErrors } from '../errors.ts'
import type { OidcClient } from '../relying-party/oidc-client.ts'
import {
  keysTimeoutMs,
  providerTimeoutMs,
  tokenEndpointTimeoutMs,
} from '../relying-party/provider-connection.ts'
import type { EndSessions } from './end-sessions.ts'
import { type LoadedSession, renewSession, type Session } from './session.ts'
import type { SessionStore } from './session-store.ts'

export type RefreshTiming = {
  /** The lease is renewed while its holder lives: this is how long others wait for one that has died. */
  leaseMs: number
  /** How long a request waits for new tokens. The refresh goes on after it. */
  requestTimeoutMs: number
}
const defaultTiming: RefreshTiming = { leaseMs: 10_000, requestTimeoutMs: 5_000 }
/** How soon who waits for another instance looks again: twice as long each time, for a provider that hangs keeps many waiting. */
const pollMs = 50
const maxPollMs = 500
/** How long tokens are held that could not be written: a Redis that restarts or fails over takes less. */
const writeAttemptsMs = 30_000
/** What a process that stops may need to finish a refresh: the provider's answer, its keys, the store, and a revocation. */
export const refreshDrainMs = tokenEndpointTimeoutMs + keysTimeoutMs + writeAttemptsMs + providerTimeoutMs

/** The session with what a refresh gave; undefined when it is not to have it. */
type Renew = (session: Session) => Session | undefined

export type RefreshTokens = ReturnType<typeof createRefreshTokens>

/**
 * Keeps access tokens fresh. However many requests and instances need it, a session's refresh token is used
 * once. The provider takes it once more, for when its answer was lost on the way or an instance has died over it; what
 * goes beyond that counts as theft and ends the whole grant (RFC 9700 §4.14.2).
 */
export function createRefreshTokens(options: {
  sessions: SessionStore
  endSessions: EndSessions
  provider: OidcClient
  keyValue: KeyValue
  now: () => number
  log: Log
  metrics: Metrics
  timing?: RefreshTiming | undefined
}) {
  const { sessions, endSessions, provider, keyValue, now, log, metrics } = options
  const { timing = defaultTiming } = options
  const refreshes = metrics.counter('token_refreshes_total', 'Refreshes by how they ended', ['outcome'])
  const underWay = new Map<string, Promise<LoadedSession>>()
  let isDraining = false

  const isFresh = ({ session }: LoadedSession) => session.renewAtMs > now()
  const isUsable = ({ session }: LoadedSession) => session.accessTokenExpiresAtMs > now()

  /** One instance gets the lease and refreshes; the others wait until they see what it wrote. */
  async function refreshOnce(loaded: LoadedSession): Promise<LoadedSession> {
    const deadlineMs = performance.now() + tokenEndpointTimeoutMs + timing.leaseMs
    for (let waitMs = pollMs; performance.now() < deadlineMs && !isDraining; waitMs *= 2) {
      const lease = await keyValue.acquireLease(`tendon:session-refresh:${loaded.hash}`, timing.leaseMs)
      const stopRenewing = lease && keepRenewing(lease)
      try {
        // Read after the lease was taken, or while another holds it: only this shows what others have done.
        const current = await sessions.load(loaded.id)
        if (!current) throw bffErrors.sessionEnded('You have been signed out.')
        if (isFresh(current)) return current
        if (lease) return await refresh(current)
      } finally {
        stopRenewing?.()
        await lease?.release().catch((err) => log.debug({ err }, 'lease of a refresh ends by itself'))
      }
      await delay(Math.min(waitMs, maxPollMs))
    }
    throw bffErrors.providerUnavailable('The identity provider takes too long to give new tokens.')
  }

  /** So that the lease of a slow refresh does not end before it; `write` fences off whoever lost it all the same. */
  function keepRenewing(lease: Lease): () => void {
    const timer = setInterval(() => {
      lease.renew().then(
        (held) => held || log.warn('the lease of a token refresh was lost'),
        (err) => log.warn({ err }, 'the lease of a token refresh could not be renewed'),
      )
    }, timing.leaseMs / 3)
    return () => clearInterval(timer)
  }

  async function refresh(current: LoadedSession): Promise<LoadedSession> {
    const outcome = await provider
      .refresh(current.session.refreshToken, current.session.subject)
      .catch((err) => {
        refreshes.inc({ outcome: 'unavailable' })
        throw err
      })
    if (outcome.kind === 'refused') {
      refreshes.inc({ outcome: 'refused' })
      // As when the lease was lost, and another instance has spent the refresh token: what it has stored holds.
      const latest = await sessions.load(current.id)
      if (latest && latest.session.refreshToken !== current.session.refreshToken) {
        return isFresh(latest) ? latest : refresh(latest)
      }
      log.info(
        { session: current.session.handle },
        'session ended: the identity provider gives it no new tokens',
      )
      await endSessions.one(current.session, current.hash)
      throw bffErrors.sessionEnded('The identity provider has ended your sign-in.')
    }
    if (outcome.kind === 'unverified') {
      const { next, cause } = outcome
      await keep(current, next.refreshToken, (session) => ({ ...session, ...next }))
      refreshes.inc({ outcome: 'unverified' })
      throw bffErrors.providerUnavailable('What the identity provider gave could not be accepted.', { cause })
    }
    const { tokens } = outcome
    // OpenID Connect Core 1.0 §12.2: a refreshed ID token must be about the same account.
    const isSameAccount = !tokens.identity || tokens.identity.sub === current.session.subject
    const renew = (session: Session) => (isSameAccount ? renewSession(session, tokens) : undefined)
    const renewed = await keep(current, tokens.refreshToken, renew)
    refreshes.inc({ outcome: 'refreshed' })
    return renewed
  }

  /** @throws TENDON-BFF-002 when the person signed out while the provider answered: what it gave must not live on. */
  async function keep(current: LoadedSession, refreshToken: string, renew: Renew): Promise<LoadedSession> {
    const written = await writeWhileAway(current, renew)
    if (written) return written
    refreshes.inc({ outcome: 'signed_out' })
    await endSessions.one(current.session, current.hash)
    await provider.revoke(refreshToken).catch((err) => log.warn({ err }, 'tokens not revoked'))
    throw bffErrors.sessionEnded('You have been signed out.')
  }

  /** The old refresh token is spent: while the store is away, the new one is held and tried again. */
  async function writeWhileAway(current: LoadedSession, renew: Renew): Promise<LoadedSession | undefined> {
    const deadlineMs = performance.now() + writeAttemptsMs
    for (;;) {
      try {
        return await write(current, renew)
      } catch (err) {
        const isAway = err instanceof TendonError && err.code === platformErrors.keyValueUnavailable.code
        if (!isAway || performance.now() > deadlineMs) throw err
        log.warn({ err }, 'new tokens are held until the store can be written')
        await delay(maxPollMs)
      }
    }
  }

  /**
   * Compare and set on what this refresh was made from (the fence): a session that has ended stays ended, and one that
   * was only used meanwhile gets the tokens. So does one that another refresh has written to, if that was given its tokens
   * earlier: by them Keycloak would end the session, for it has given newer ones.
   */
  async function write(current: LoadedSession, renew: Renew): Promise<LoadedSession | undefined> {
    const spent = current.session.refreshToken
    let latest: LoadedSession | undefined = current
    while (latest) {
      const renewed = renew(latest.session)
      if (!renewed) return undefined
      const isSpent = latest.session.refreshToken === spent
      if (!isSpent && latest.session.issuedAtSeconds >= renewed.issuedAtSeconds) return latest
      const written = await sessions.replace(latest, renewed)
      if (written) return written
      latest = await sessions.load(current.id)
    }
    return undefined
  }

  /** The refresh of this session that is under way, or a new one. */
  function refreshing(loaded: LoadedSession): Promise<LoadedSession> {
    const known = underWay.get(loaded.hash)
    if (known) return known
    const begun = refreshOnce(loaded).finally(() => underWay.delete(loaded.hash))
    // Whoever asked may have given up by the time it fails.
    begun.catch((err) => log.debug({ err }, 'refresh failed'))
    underWay.set(loaded.hash, begun)
    return begun
  }

  return {
    /**
     * The session with an access token that is good for a while.
     * @throws TENDON-BFF-002 when the session has ended; -007 when the provider does not answer, and the session stays
     */
    async fresh(loaded: LoadedSession): Promise<LoadedSession> {
      if (isFresh(loaded)) return loaded
      try {
        return await within(refreshing(loaded), timing.requestTimeoutMs, () => {
          throw bffErrors.providerUnavailable('The identity provider takes too long to give new tokens.')
        })
      } catch (err) {
        const isUnavailable = err instanceof TendonError && err.code === bffErrors.providerUnavailable.code
        if (!isUnavailable || !isUsable(loaded)) throw err
        // Tokens are renewed early for this: the provider may be away for a moment without anybody noticing.
        await sessions.require(loaded.hash)
        return loaded
      }
    },
    /**
     * Waits, for `refreshDrainMs` at most, for what this instance asks the provider: a refresh that is cut off loses the
     * session its tokens. What another instance asks is not waited for.
     */
    async drain(): Promise<void> {
      isDraining = true
      await Promise.allSettled(underWay.values())
    },
  }
}
