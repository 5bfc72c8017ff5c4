import * as oidc from 'openid-client'
import { discoverClient } from './discover-client.ts'
import { reasonOf } from './reason-of.ts'

type CheckedProvider = {
  issuer: string
  /** The origin at which this process reaches the provider, when not at its public one. */
  internalUrl: string | undefined
}

type CheckedClient = CheckedProvider & {
  clientId: string
  clientSecret: string
  /** What it gets its tokens for: itself, or people who sign in. */
  grant: 'client_credentials' | 'authorization_code'
}

const timeoutMs = 5_000

/** @returns why the provider cannot be used by anybody, or undefined */
export async function providerProblem(provider: CheckedProvider): Promise<string | undefined> {
  try {
    await discoverClient({ ...provider, clientId: 'any', clientSecret: 'none', timeoutMs })
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** @returns why the provider refuses this client, or undefined when nothing is known against it */
export async function clientProblem({ grant, ...client }: CheckedClient): Promise<string | undefined> {
  try {
    const known = await discoverClient({ ...client, timeoutMs })
    if (grant === 'client_credentials') await oidc.clientCredentialsGrant(known)
    else await oidc.genericGrantRequest(known, grant, codeOfNobody)
    return undefined
  } catch (error) {
    if (grant === 'authorization_code' && !isClientRefused(error)) return undefined
    if (error instanceof oidc.ResponseBodyError) return `${error.status} ${error.error}`
    return error instanceof oidc.WWWAuthenticateChallengeError ? `${error.status}` : reasonOf(error)
  }
}

/** Looked at only once the client's secret was found right: the answer is then `invalid_grant`. */
const codeOfNobody = {
  code: 'of-nobody',
  redirect_uri: 'http://localhost/callback',
  code_verifier: 'of-nobody-either-but-as-long-as-rfc-7636-wants-them',
}

/** RFC 6749 §5.2: 401 or `invalid_client`; Keycloak says `unauthorized_client`. */
function isClientRefused(error: unknown): boolean {
  if (error instanceof oidc.WWWAuthenticateChallengeError) return true
  if (!(error instanceof oidc.ResponseBodyError)) return false
  return error.status === 401 || ['invalid_client', 'unauthorized_client'].includes(error.error)
}
