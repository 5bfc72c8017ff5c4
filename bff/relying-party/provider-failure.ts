import { errors } from 'jose'
import * as oidc from 'openid-client'

const keyFetchCodes = new Set([errors.JWKSTimeout.code, errors.JWKSInvalid.code, errors.JOSEError.code])

/** Whether it is the provider that is slow or unwell, rather than the answer that is wrong. */
export function isUnavailable(err: unknown): boolean {
  if (err instanceof oidc.ResponseBodyError) return isBusy(err.status)
  // What fetch throws when there is no connection; the library's own TypeErrors have no cause.
  if (err instanceof TypeError) return err.cause instanceof Error
  // What jose throws when the keys do not come, or not as keys.
  if (err instanceof errors.JOSEError) return keyFetchCodes.has(err.code)
  if (!(err instanceof oidc.ClientError)) return false
  return err.code === 'OAUTH_TIMEOUT' || isBusy(statusOf(err.cause))
}

/** Of an answer, whose class says nothing: @hono/node-server puts a `Response` of its own in place of that of fetch. */
function statusOf(cause: unknown): number {
  return cause instanceof Object && 'status' in cause ? Number(cause.status) : 0
}

/** It is unwell, or asked too much (RFC 6585 §4): neither says anything of what it was asked. */
const isBusy = (status: number) => status >= 500 || status === 429

/**
 * An error for the log. The library's own errors carry what they are about as their cause, whole token
 * responses among it, so only name, message and codes are taken over.
 */
export function withoutPayload(err: unknown): Error {
  if (!(err instanceof Error)) return new Error('unknown')
  const codes = [
    'code' in err && err.code,
    'error' in err && err.error,
    err.cause instanceof Error && err.cause.message,
  ]
  return new Error(`${err.name}: ${[err.message, ...codes].filter(Boolean).join('; ')}`)
}
