import { randomBytes } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import type { JWK } from 'oidc-provider'
import type { ProviderStore } from './provider-store.ts'

/**
 * The provider's signing key and the key of its cookies' signatures, made once and kept: a new signing key at
 * each start would break every session and every verifier that holds the old key set.
 */
export async function loadProviderKeys(store: ProviderStore): Promise<{ signing: JWK; cookies: string }> {
  const signing = await store.secret('signing-key', async () => {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = await exportJWK(privateKey)
    // The id follows from the key (RFC 7638), so that no two keys ever share one.
    return JSON.stringify({ ...jwk, use: 'sig', alg: 'RS256', kid: await calculateJwkThumbprint(jwk) })
  })
  const cookies = await store.secret('cookie-key', () => randomBytes(32).toString('base64url'))
  return { signing: JSON.parse(signing), cookies }
}
