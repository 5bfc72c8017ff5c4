import { setTimeout as delay } from 'node:timers/promises'
import { TendonError } from '@tendon/platform/errors.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { bffErrors } from './errors.ts'
import { type OidcClient, providerTimeoutMs } from './oidc-client.ts'
import { type LoadedSession, renewSession, type SessionStore } from './session-store.ts'

/** Longer than discovery, refresh and key set together may take, so that its holder never loses a lease at work. */
const leaseMs = 4 * providerTimeoutMs
const waitMs = 2 * providerTimeoutMs
const pollMs = 50

export type RefreshTokens = ReturnType<typeof createRefreshTokens>

/**
 * Keeps access tokens fresh. However many requests and instances need it, a session's refresh token is used
 * once: a second use counts as theft and ends the whole grant at the provider (RFC 9700 §4.14.2).
 */
export function createRefreshTokens(options: {
  sessions: SessionStore
  provider: OidcClient
  keyValue: KeyValue
  now: () => number
  log: Log
  metrics: Metrics
}) {
  const { sessions, provider, keyValue, now, log, metrics } = options
  const refreshes = metrics.counter('token_refreshes_total', 'Refreshes by how they ended', ['outcome'])
  const underWay = new Map<string, Promise<LoadedSession>>()

  const isFresh = ({ session }: LoadedSession) => session.renewAtMs > now()
  const isUsable = ({ session }: LoadedSession) => session.accessTokenExpiresAtMs > now()

  /** One instance gets the lease and refreshes; the others wait until they see what it wrote. */
  async function refreshOnce(loaded: LoadedSession): Promise<LoadedSession> {
    const deadlineMs = performance.now() + waitMs
    while (performance.now() < deadlineMs) {
      const lease = await keyValue.acquireLease(`tendon:session-refresh:${loaded.hash}`, leaseMs)
      try {
        // Read after the lease was taken, or while another holds it: only this shows what others have done.
        const current = await sessions.load(loaded.id)
        if (!current) throw bffErrors.sessionEnded('You have been signed out.')
        if (isFresh(current)) return current
        if (lease) return await refresh(current)
      } finally {
        await lease?.release()
      }
      await delay(pollMs)
    }
    throw bffErrors.providerUnavailable('The identity provider takes too long to give new tokens.')
  }

  async function refresh(current: LoadedSession): Promise<LoadedSession> {
    const outcome = await provider.refresh(current.session.refreshToken).catch((err) => {
      refreshes.inc({ outcome: 'unavailable' })
      throw err
    })
    if (outcome.refused) {
      refreshes.inc({ outcome: 'refused' })
      log.info('session ended: the identity provider gives it no new tokens')
      await sessions.end(current.hash)
      throw bffErrors.sessionEnded('The identity provider has ended your sign-in.')
    }
    const { tokens } = outcome
    // OpenID Connect Core 1.0 §12.2: a refreshed ID token must be about the same account.
    const sameAccount = !tokens.identity || tokens.identity.sub === current.session.subject
    const renewed = renewSession(current.session, tokens)
    const replaced = sameAccount ? await sessions.replace(current, renewed) : undefined
    if (!replaced) {
      refreshes.inc({ outcome: 'signed_out' })
      // Signed out while the provider answered: what it gave must not live on.
      await provider.revoke(tokens.refreshToken).catch((err) => log.warn({ err }, 'tokens not revoked'))
      await sessions.end(current.hash)
      throw bffErrors.sessionEnded('You have been signed out.')
    }
    refreshes.inc({ outcome: 'refreshed' })
    return replaced
  }

  /**
   * The session with an access token that is good for a while.
   * @throws TENDON-BFF-002 when the session has ended; -007 when the provider does not answer, and the session stays
   */
  return async (loaded: LoadedSession): Promise<LoadedSession> => {
    if (isFresh(loaded)) return loaded
    let refreshing = underWay.get(loaded.hash)
    if (!refreshing) {
      refreshing = refreshOnce(loaded).finally(() => underWay.delete(loaded.hash))
      underWay.set(loaded.hash, refreshing)
    }
    try {
      return await refreshing
    } catch (err) {
      const unavailable = err instanceof TendonError && err.code === bffErrors.providerUnavailable.code
      // Tokens are renewed early for this: the provider may be away for a moment without anybody noticing.
      if (unavailable && isUsable(loaded)) return loaded
      throw err
    }
  }
}
