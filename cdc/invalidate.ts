import { invalidateResponse } from '@tendon/contracts/reports-api.ts'
import { postJson } from '@tendon/platform/post-json.ts'
import type { ServiceTokenSource } from '@tendon/platform/service-token.ts'

/** Tells that the reports of these users are out of date. Rejects unless they are so from now on. */
export type Invalidate = (userIds: string[], signal: AbortSignal) => Promise<void>

/** Once only: the feed itself goes on trying. */
const retry = { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 }

/** Invalidates users at reports-service over HTTP (`POST /invalidate`) with the service account's token. */
export function createInvalidate(reportsServiceUrl: string, token: ServiceTokenSource): Invalidate {
  const url = `${reportsServiceUrl.replace(/\/$/, '')}/invalidate`
  return async (userIds, signal) => {
    await postJson({ url, token, body: { user_ids: userIds }, response: invalidateResponse, retry, signal })
  }
}
