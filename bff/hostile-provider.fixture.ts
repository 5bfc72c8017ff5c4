import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createLog } from '@tendon/platform/log.ts'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from 'jose'

type Claims = Record<string, unknown>
type Signed = {
  claims?: Claims
  header?: { alg?: string; typ?: string }
  by?: 'its key' | 'another key' | 'nobody'
}

type TokenAnswer = { status?: number; type?: string; body: string }

/** A provider that speaks the protocol and says in its tokens whatever a test wants it to. */
export async function startHostileProvider(options: { lifetimeSeconds?: number } = {}) {
  const { lifetimeSeconds = 300 } = options
  let own = await createKey()
  const stranger = await createKey()
  let published: JWK[] | undefined = [own.jwk]
  let keysStatus = 503
  let issuer = ''
  let said: Signed = {}
  let tokenAnswer: TokenAnswer | undefined
  const refreshTokens: string[] = []
  let beforeToken: (() => Promise<void>) | undefined
  const nonces = new Map<string, string>()
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', issuer)
    const json = (body: unknown, status = 200) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (url.pathname === '/jwks') return published ? json({ keys: published }) : json({}, keysStatus)
    if (url.pathname === '/token') {
      const body = new URLSearchParams(await text(request))
      await beforeToken?.()
      const refreshToken = body.get('refresh_token')
      if (refreshToken) refreshTokens.push(refreshToken)
      // Each is good twice, as with every provider that is set up for the bff.
      if (refreshTokens.filter((used) => used === refreshToken).length > 2)
        return json({ error: 'invalid_grant' }, 400)
      if (tokenAnswer) {
        const { status = 200, type = 'application/json', body: said } = tokenAnswer
        return response.writeHead(status, { 'content-type': type }).end(said)
      }
      const nonce = nonces.get(body.get('code') ?? '')
      return json({
        access_token: await sign({ claims: { aud: 'reports-service' } }),
        refresh_token: randomUUID(),
        token_type: 'bearer',
        expires_in: lifetimeSeconds,
        id_token: await sign({ ...said, claims: { aud: 'bff', nonce, ...said.claims } }),
      })
    }
    return json({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      authorization_response_iss_parameter_supported: true,
      id_token_signing_alg_values_supported: ['RS256'],
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  /** A token with the claims that every good one has, and those that a test changes; `undefined` takes one away. */
  async function sign({ claims = {}, header = {}, by = 'its key' }: Signed): Promise<string> {
    const nowSeconds = Math.floor(Date.now() / 1000)
    const all = { iss: issuer, sub: 'alice', iat: nowSeconds, exp: nowSeconds + 300, ...claims }
    const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
    if (by === 'nobody') return new UnsecuredJWT(payload).encode()
    const key = by === 'its key' ? own : stranger
    const { alg = 'RS256' } = header
    // RFC 8725 §2.1: the public key as the secret of a symmetric algorithm.
    const secret = alg === 'HS256' ? new TextEncoder().encode(JSON.stringify(own.jwk)) : key.privateKey
    return new SignJWT(payload).setProtectedHeader({ ...header, alg, kid: own.jwk.kid! }).sign(secret)
  }

  return {
    issuer,
    log: createLog({ service: 'test', level: 'fatal' }),
    sign,
    /** What its ID tokens are from now on. */
    say(next: Signed) {
      said = next
    },
    /** What its token endpoint answers from now on; undefined for tokens. */
    answerTokens(answer: TokenAnswer | undefined) {
      tokenAnswer = answer
    },
    /** Those that it was sent. */
    refreshTokens,
    /** A callback as it would send the browser, for the authorization request that it was asked for. */
    answer(authorizationUrl: string): string {
      const { searchParams } = new URL(authorizationUrl)
      const code = randomUUID()
      nonces.set(code, searchParams.get('nonce') ?? '')
      return `/callback?${new URLSearchParams({ code, state: searchParams.get('state') ?? '', iss: issuer })}`
    },
    /** Holds the token endpoint from the moment when it is asked, until it is let go. */
    holdTokenEndpoint() {
      const held = Promise.withResolvers<void>()
      let isAsked = false
      let isAnswered = false
      beforeToken = async () => {
        isAsked = true
        await held.promise
        isAnswered = true
      }
      return { letGo: held.resolve, isAsked: () => isAsked, isAnswered: () => isAnswered }
    },
    /** From now on it signs with another key, and publishes both or the new one alone. */
    async rotateKeys(options: { keepOld: boolean }) {
      const old = own
      own = await createKey()
      published = options.keepOld ? [old.jwk, own.jwk] : [own.jwk]
    },
    /** Its keys cannot be had, until they rotate. */
    hideKeys(status: number) {
      published = undefined
      keysStatus = status
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function createKey() {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = await exportJWK(publicKey)
  return { privateKey, jwk: { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'RS256', use: 'sig' } }
}
