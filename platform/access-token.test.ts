import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createAccessTokenVerifier } from './access-token.ts'
import type { TendonError } from './errors.ts'

// The public address is not reachable from here; the provider is asked at its internal one.
const issuer = 'https://id.tendon.invalid/idp'
const audience = 'reports-service'
const customerId = '018f4a3e-5b7c-4d21-9f3a-0c1b2a3d4e5f'
const nowS = 1_800_000_000
const now = () => nowS * 1000
const claims = { sub: 'alice', iss: issuer, aud: audience, iat: nowS, exp: nowS + 300 }

let keys: Record<string, { privateKey: CryptoKey; publicKey: CryptoKey }>
let provider: Server
let internalUrl: string

beforeAll(async () => {
  const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']
  keys = Object.fromEntries(
    await Promise.all(
      algorithms.map(async (alg) => [alg, await generateKeyPair(alg, { extractable: true })] as const),
    ),
  )
  provider = await startProvider()
  internalUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
})
afterAll(() => provider?.close())

/** The provider's metadata and keys; a key's id is its algorithm. */
async function startProvider(
  options: { port?: number; namedIssuer?: string; without?: string } = {},
): Promise<Server> {
  const published = Object.entries(keys).filter(([alg]) => alg !== options.without)
  const jwks = await Promise.all(
    published.map(async ([alg, { publicKey }]) => ({
      ...(await exportJWK(publicKey)),
      alg,
      kid: alg,
      use: 'sig',
    })),
  )
  const documents: Record<string, unknown> = {
    '/idp/.well-known/openid-configuration': {
      issuer: options.namedIssuer ?? issuer,
      jwks_uri: `${issuer}/jwks`,
    },
    '/idp/jwks': { keys: jwks },
  }
  const server = createServer((request, response) => {
    const document = documents[request.url ?? '']
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify(document ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  return server
}

function omit(name: keyof typeof claims): JWTPayload {
  return Object.fromEntries(Object.entries(claims).filter(([claim]) => claim !== name))
}

function sign(
  payload: JWTPayload,
  options: { alg?: string; kid?: string; key?: CryptoKey | Uint8Array } = {},
) {
  const { alg = 'RS256', kid = alg, key = keys[alg]!.privateKey } = options
  return new SignJWT(payload).setProtectedHeader({ alg, kid, typ: 'at+jwt' }).sign(key)
}

async function failureOf(
  authorization: string | undefined,
  verify = createAccessTokenVerifier({ issuer, audience, internalUrl, now }),
) {
  const failure = await verify(authorization).then(
    () => expect.unreachable('the token was accepted'),
    (error: TendonError) => error,
  )
  const signature = authorization?.split('.')[2]
  if (signature) expect(`${failure.message} ${String(failure.cause)}`).not.toContain(signature)
  return failure
}

describe('an access token', () => {
  test.each(['RS256', 'PS256', 'ES256'])('signed with %s says who calls', async (alg) => {
    const verify = createAccessTokenVerifier({ issuer, audience, internalUrl, now })
    const token = await sign(
      { ...claims, customer_id: customerId.toUpperCase(), roles: ['patient'] },
      { alg },
    )
    const caller = { subject: 'alice', customerId, roles: ['patient'] }
    expect(await verify(`Bearer ${token}`)).toEqual(caller)
    expect(await verify(`bearer  ${token}`)).toEqual(caller)
  })

  test('of a service account has no customer, and may have no roles', async () => {
    const verify = createAccessTokenVerifier({
      issuer,
      audience,
      internalUrl,
      now,
    })
    const token = await sign({ ...claims, sub: 'tendon-etl', aud: ['other', audience] })
    expect(await verify(`Bearer ${token}`)).toEqual({ subject: 'tendon-etl', roles: [] })
  })

  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic YTpi',
    'Bearer a b',
    'Bearer a,Bearer b',
    'abc.def.ghi',
  ])('is missing in %j', async (authorization) => {
    const failure = await failureOf(authorization)
    expect(failure).toMatchObject({ code: 'TENDON-PLATFORM-005', definition: { status: 401 } })
  })

  const flawedClaims: Record<string, JWTPayload> = {
    'of another issuer': { ...claims, iss: 'https://id.tendon.invalid/other' },
    'for another audience': { ...claims, aud: 'bff' },
    'for no audience': omit('aud'),
    'without an end': omit('exp'),
    'without a subject': omit('sub'),
    'with an empty subject': { ...claims, sub: '' },
    'not valid yet': { ...claims, nbf: nowS + 6 },
    'with a customer id that is none': { ...claims, customer_id: '../bob' },
    'with roles that are no list': { ...claims, roles: 'report-admin' },
  }
  test.each(Object.entries(flawedClaims))('is refused: %s', async (_, payload) => {
    const failure = await failureOf(`Bearer ${await sign(payload)}`)
    expect(failure).toMatchObject({ code: 'TENDON-PLATFORM-006', definition: { status: 401 } })
  })

  const forgeries: Record<string, () => Promise<string> | string> = {
    'not signed': () => new UnsecuredJWT(claims).encode(),
    'signed by a key of the same name': async () =>
      sign(claims, { key: (await generateKeyPair('RS256')).privateKey }),
    'signed by a key that nobody knows': async () =>
      sign(claims, { kid: 'unknown', key: (await generateKeyPair('RS256')).privateKey }),
    'signed with the public key as a shared secret': async () =>
      sign(claims, { alg: 'HS256', kid: 'RS256', key: Buffer.from(await exportSPKI(keys.RS256!.publicKey)) }),
    'signed with an algorithm that is not on the list': () => sign(claims, { alg: 'EdDSA' }),
    'with other claims under the signature': async () => {
      const [header, , signature] = (await sign(claims)).split('.')
      const payload = Buffer.from(JSON.stringify({ ...claims, roles: ['report-admin'] })).toString(
        'base64url',
      )
      return `${header}.${payload}.${signature}`
    },
    'not a token at all': () => 'abc.def.ghi',
  }
  test.each(Object.entries(forgeries))('is refused: %s', async (_, forge) => {
    const failure = await failureOf(`Bearer ${await forge()}`)
    expect(failure).toMatchObject({ code: 'TENDON-PLATFORM-006', definition: { status: 401 } })
  })

  test('ends with its time, give or take five seconds between clocks', async () => {
    const verify = createAccessTokenVerifier({ issuer, audience, internalUrl, now })
    await verify(`Bearer ${await sign({ ...claims, exp: nowS - 4 })}`)
    await verify(`Bearer ${await sign({ ...claims, nbf: nowS + 4 })}`)
    const failure = await failureOf(`Bearer ${await sign({ ...claims, exp: nowS - 6 })}`, verify)
    expect(failure).toMatchObject({ code: 'TENDON-PLATFORM-007', definition: { status: 401 } })
  })

  test('that was good before ends with its time all the same', async () => {
    let nowMs = now()
    const verify = createAccessTokenVerifier({ issuer, audience, internalUrl, now: () => nowMs })
    const authorization = `Bearer ${await sign({ ...claims, exp: nowS + 30 })}`
    for (const seconds of [0, 20, 34]) {
      nowMs = (nowS + seconds) * 1000
      expect(await verify(authorization)).toMatchObject({ subject: 'alice' })
    }
    nowMs = (nowS + 35) * 1000
    expect(await failureOf(authorization, verify)).toMatchObject({ code: 'TENDON-PLATFORM-007' })
  })

  test('that one service knows as good is not for another', async () => {
    await createAccessTokenVerifier({ issuer, audience, internalUrl, now })(`Bearer ${await sign(claims)}`)
    const elsewhere = createAccessTokenVerifier({ issuer, audience: 'another-service', internalUrl, now })
    expect(await failureOf(`Bearer ${await sign(claims)}`, elsewhere)).toMatchObject({
      code: 'TENDON-PLATFORM-006',
    })
  })
})

describe('a provider', () => {
  const verifierAt = (port: number) =>
    createAccessTokenVerifier({ issuer, audience, internalUrl: `http://127.0.0.1:${port}`, now })

  test('that is away is not the fault of the caller, and is found when it comes back', async () => {
    const away = await startProvider()
    const { port } = away.address() as AddressInfo
    await new Promise((resolve) => away.close(resolve))
    const verify = verifierAt(port)
    const authorization = `Bearer ${await sign(claims)}`
    expect(await failureOf(authorization, verify)).toMatchObject({
      code: 'TENDON-PLATFORM-008',
      definition: { status: 503 },
    })

    const back = await startProvider({ port })
    onTestFinished(() => void back.close())
    expect(await verify(authorization)).toMatchObject({ subject: 'alice' })
  })

  test('that signs with a new key is understood within seconds, however lately its keys were asked for', async () => {
    const former = await startProvider({ without: 'ES256' })
    const { port } = former.address() as AddressInfo
    const verify = verifierAt(port)
    expect(await verify(`Bearer ${await sign(claims)}`)).toMatchObject({ subject: 'alice' })
    await new Promise((resolve) => former.close(resolve))
    const rotated = await startProvider({ port })
    onTestFinished(() => void rotated.close())
    const authorization = `Bearer ${await sign(claims, { alg: 'ES256' })}`
    await vi.waitFor(
      async () => expect(await verify(authorization)).toMatchObject({ subject: 'alice' }),
      10_000,
    )
  })

  test('that names itself otherwise is not believed', async () => {
    const other = await startProvider({ namedIssuer: 'https://evil.invalid' })
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo
    const verify = verifierAt(port)
    expect(await failureOf(`Bearer ${await sign(claims)}`, verify)).toMatchObject({
      code: 'TENDON-PLATFORM-008',
    })
  })
})
