import { invalidateResponse } from '@tendon/contracts/reports-api.ts'
import { postJson } from '@tendon/platform/post-json.ts'
import type { ServiceTokenSource } from '@tendon/platform/service-token.ts'
import type { Invalidate } from './invalidations.ts'

/** Invalidates users at reports-service over HTTP (`POST /invalidate`) with the service account's token. */
export function createInvalidate(reportsServiceUrl: string, token: ServiceTokenSource): Invalidate {
  const url = `${reportsServiceUrl.replace(/\/$/, '')}/invalidate`
  return async (userIds, signal) => {
    await postJson({ url, token, body: { user_ids: userIds }, response: invalidateResponse, signal })
  }
}
