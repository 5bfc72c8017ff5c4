import { invalidateResponse } from '@tendon/contracts/reports-api.ts'
import type { Config } from '@tendon/platform/config.ts'
import { postJson } from '@tendon/platform/post-json.ts'
import { createServiceTokenSource, type ServiceTokenSource } from '@tendon/platform/service-token.ts'
import type { reportsOptions } from '../options.ts'

/** Tells that the reports of these users are out of date. Rejects unless they are so from now on. */
export type Invalidate = (userIds: string[], signal: AbortSignal) => Promise<void>

/** Users of one call; the contract takes 100,000. */
const usersPerCall = 10_000

export function inCalls(userIds: string[]): string[][] {
  const calls: string[][] = []
  for (let start = 0; start < userIds.length; start += usersPerCall) {
    calls.push(userIds.slice(start, start + usersPerCall))
  }
  return calls
}

/** The feed itself goes on trying. */
const once = { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 }
/** A command that has changed what reports show has no other chance to say so. */
export const insistently = { attempts: 8, baseDelayMs: 250, maxDelayMs: 5_000 }

/** Invalidates users at reports-service over HTTP (`POST /invalidate`) with the service account's token. */
export function createInvalidate(
  reportsServiceUrl: string,
  token: ServiceTokenSource,
  retry = once,
): Invalidate {
  const url = `${reportsServiceUrl.replace(/\/$/, '')}/invalidate`
  return async (userIds, signal) => {
    await postJson({ url, token, body: { user_ids: userIds }, response: invalidateResponse, retry, signal })
  }
}

/** The same with the addresses of the configuration. */
export function createAttachedInvalidate(config: Config<typeof reportsOptions>, retry = once): Invalidate {
  const token = createServiceTokenSource({
    issuer: config.oidcIssuer,
    clientId: config.oidcClientId,
    clientSecret: config.oidcClientSecret,
    internalUrl: config.oidcInternalUrl,
  })
  return createInvalidate(config.reportsServiceUrl, token, retry)
}
