import { randomBytes } from 'node:crypto'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { z } from 'zod'
import { bffErrors } from '../errors.ts'
import { digest, isDigestOf } from '../sessions/digest.ts'
import type { TokenEncryption } from '../sessions/token-encryption.ts'

/** A sign-in between its start and its callback. */
export type SignIn = {
  nonce: string
  codeVerifier: string
  returnTo: string
  begunAtMs: number
  /** Whether the provider was told to ask for the password, whoever it knows. */
  isReauthentication: boolean
}

type StoredSignIn = z.infer<typeof storedSignIn>
const storedSignIn = z.object({
  nonce: z.string(),
  codeVerifier: z.string(),
  returnTo: z.string(),
  begunAtMs: z.number(),
  isReauthentication: z.boolean(),
  browserHash: z.string().length(43),
})

/** A minute longer than Keycloak keeps its form ("Login timeout", 30 minutes unless a realm says otherwise). */
export const signInSeconds = 31 * 60
const statePattern = /^[A-Za-z0-9_-]{43}$/
const signInKey = (state: string) => `tendon:login:${state}`

export type SignInTransactions = ReturnType<typeof createSignInTransactions>

/** Sign-ins under way, each for one browser and one callback (RFC 9700 §4.7.1). */
export function createSignInTransactions(options: { keyValue: KeyValue; encryption: TokenEncryption }) {
  const { keyValue, encryption } = options
  return {
    /** @returns the secret that ties it to the browser, for a cookie */
    async begin(state: string, signIn: SignIn): Promise<string> {
      const secret = randomBytes(32).toString('base64url')
      const stored: StoredSignIn = { ...signIn, browserHash: digest(secret) }
      const sealed = encryption.encrypt(JSON.stringify(stored), associatedData(state))
      await keyValue.set(signInKey(state), sealed, { ttlMs: signInSeconds * 1000 })
      return secret
    },

    /**
     * Takes the sign-in of this state, once.
     * @param secret what the browser's cookie says
     * @throws TENDON-BFF-003 (unknown, expired, used), -004 (another browser's)
     */
    async take(state: string, secret: string | undefined): Promise<SignIn> {
      if (!statePattern.test(state)) throw bffErrors.signInExpired('The address names no sign-in.')
      const sealed = await keyValue.getAndDelete(signInKey(state))
      const text = sealed && encryption.decrypt(sealed, associatedData(state))
      const stored = text && storedSignIn.safeParse(JSON.parse(text)).data
      if (!stored) throw bffErrors.signInExpired('No such sign-in is under way.')
      if (!secret || !isDigestOf(stored.browserHash, secret)) {
        throw bffErrors.signInElsewhere('This browser has no sign-in of this name.')
      }
      return stored
    },
  }
}

const associatedData = (state: string) => `sign-in:${state}`
