import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/** A shared secret of the signer (reports-service) and the verifier (the CDN). */
type SigningKey = {
  /** `[a-z0-9]{1,16}`: stands in the URL as `kid`, so that keys can be changed while old URLs live on. */
  id: string
  secret: string
}

/** The first key signs, every key verifies: to change keys, put the new one in front and drop the old one later. */
export type SigningKeys = readonly [SigningKey, ...SigningKey[]]

export type UrlVerdict =
  | { valid: true; expiresAtS: number }
  | { valid: false; reason: 'malformed' | 'unknown_key' | 'expired' | 'wrong_signature' }

type SignedMethod = 'GET' | 'HEAD'

// Nothing that a proxy would decode, merge or normalise: what was signed is byte for byte what arrives.
const pathPattern = /^\/[A-Za-z0-9._~/-]{1,900}$/
// This order, nothing more and nothing twice, so that a URL has one spelling and caches cannot be split by it.
const queryPattern = /^exp=([0-9]{10})&kid=([a-z0-9]{1,16})&sig=([A-Za-z0-9_-]{43})$/

/** Config text `<id>:<secret>[,<id>:<secret>]`, the signing key first. Secrets have at least 32 characters. */
export const signingKeys = z
  .string()
  .regex(
    /^[a-z0-9]{1,16}:[A-Za-z0-9._~+/=-]{32,256}(,[a-z0-9]{1,16}:[A-Za-z0-9._~+/=-]{32,256})*$/,
    'expected <id>:<secret>[,<id>:<secret>] with ids of [a-z0-9]{1,16} and secrets of at least 32 characters',
  )
  .transform((text): SigningKeys => {
    const [first, ...others] = text.split(',').map(parseKey)
    return [first!, ...others]
  })
  .refine((keys) => new Set(keys.map((key) => key.id)).size === keys.length, 'two keys have the same id')

function parseKey(text: string): SigningKey {
  const separator = text.indexOf(':')
  return { id: text.slice(0, separator), secret: text.slice(separator + 1) }
}

/**
 * Signs an address below the CDN's base URL.
 *
 * `path` is `/` + the object's key: what stands before it in the CDN's base URL is not signed, so the same
 * URL can be served under any prefix. A HEAD request needs a signature of its own.
 * Returns `<path>?exp=<10 digits>&kid=<id>&sig=<43 characters of base64url>`.
 * @throws RangeError when the path or the expiry cannot be signed
 */
export function signPath(input: {
  method: SignedMethod
  path: string
  /** Unix time in whole seconds from which the URL is refused. */
  expiresAtS: number
  keys: SigningKeys
}): string {
  const expiry = String(input.expiresAtS)
  if (!pathPattern.test(input.path)) throw new RangeError('this path cannot be signed')
  if (!/^[0-9]{10}$/.test(expiry)) throw new RangeError(`${expiry} is not a Unix time in seconds`)
  const [key] = input.keys
  const signature = sign(key.secret, input.method, input.path, expiry, key.id)
  return `${input.path}?exp=${expiry}&kid=${key.id}&sig=${signature}`
}

/**
 * Checks a request's method, path (below the CDN's base URL, not decoded) and query (without `?`).
 * The reason is for logs and metrics: whoever asks learns only that the URL is not valid.
 */
export function verifySignedUrl(input: {
  method: string
  path: string
  query: string
  keys: SigningKeys
  nowMs: number
}): UrlVerdict {
  const [, expiry, keyId, signature] = queryPattern.exec(input.query) ?? []
  if (!expiry || !keyId || !signature || !pathPattern.test(input.path))
    return { valid: false, reason: 'malformed' }
  const key = input.keys.find((candidate) => candidate.id === keyId)
  if (!key) return { valid: false, reason: 'unknown_key' }
  // The encoded text is compared, not the bytes: base64url's last character has two spare bits, and decoding
  // would accept four spellings of one signature.
  const expected = sign(key.secret, input.method, input.path, expiry, keyId)
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) {
    return { valid: false, reason: 'wrong_signature' }
  }
  const expiresAtS = Number(expiry)
  if (expiresAtS * 1000 <= input.nowMs) return { valid: false, reason: 'expired' }
  return { valid: true, expiresAtS }
}

function sign(secret: string, method: string, path: string, expiry: string, keyId: string): string {
  return createHmac('sha256', secret).update(`${method}\n${path}\n${expiry}\n${keyId}`).digest('base64url')
}
