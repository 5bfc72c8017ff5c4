import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type SigningKeys, signingKeys, signPath, verifySignedUrl } from './url-signature.ts'

const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const text = (alphabet: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength })

const paths = text(`${characters}./~`, 1, 300).map((rest) => `/${rest}`)
const expiries = fc.integer({ min: 1_000_000_000, max: 9_999_999_999 })
const methods = fc.constantFrom('GET' as const, 'HEAD' as const)
const keyRings = fc
  .uniqueArray(fc.record({ id: text('abcxyz019', 1, 16), secret: text(characters, 32, 64) }), {
    minLength: 2,
    maxLength: 3,
    selector: (key) => key.id,
  })
  .map(([first, ...others]): SigningKeys => [first!, ...others])
const signed = fc
  .record({ method: methods, path: paths, expiresAtS: expiries, keys: keyRings })
  .map((input) => ({ ...input, url: signPath(input), nowMs: input.expiresAtS * 1000 - 1 }))

/** Verifies a URL as it arrives: what stands behind the first `?` is the query. */
function verify(url: string, request: { method: string; keys: SigningKeys; nowMs: number }) {
  const [path, ...query] = url.split('?')
  return verifySignedUrl({ ...request, path: path!, query: query.join('?') })
}

describe('a signed URL', () => {
  test('is what an independent implementation signs', () => {
    // printf 'GET\n/reports/a.json\n1900000000\nk1' | openssl dgst -sha256 -hmac "$secret" -binary | basenc --base64url
    expect(
      signPath({
        method: 'GET',
        path: '/reports/a.json',
        expiresAtS: 1_900_000_000,
        keys: [{ id: 'k1', secret: 'first-signing-secret-0123456789abcdef' }],
      }),
    ).toBe('/reports/a.json?exp=1900000000&kid=k1&sig=xfNCbQgaJ766DeBaWpOkCKEoNAQF5HZnEhVfFC6ia0U')
  })

  test('is valid until it expires, not a millisecond longer', () => {
    fc.assert(
      fc.property(signed, ({ url, expiresAtS, ...request }) => {
        expect(verify(url, request)).toEqual({ valid: true, expiresAtS })
        const late = { ...request, nowMs: expiresAtS * 1000 }
        expect(verify(url, late)).toEqual({ valid: false, reason: 'expired' })
      }),
    )
  })

  test('is refused with any one character changed, added or taken away', () => {
    const anyCharacter = fc.oneof(
      fc.constantFrom(...`${characters}.~/%?&= \n\0`),
      fc.string({ minLength: 1, maxLength: 1 }),
    )
    fc.assert(
      fc.property(
        signed,
        fc.nat(),
        anyCharacter,
        fc.nat(2),
        ({ url, ...request }, position, character, kind) => {
          const at = position % url.length
          const before = url.slice(0, at)
          const changed = [
            before + character + url.slice(at + 1),
            before + character + url.slice(at),
            before + url.slice(at + 1),
          ][kind]!
          fc.pre(changed !== url)
          expect(verify(changed, request).valid).toBe(false)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('is refused with another spelling of the same signature bytes', () => {
    fc.assert(
      fc.property(signed, fc.integer({ min: 1, max: 3 }), ({ url, ...request }, spareBits) => {
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
        const alias = url.slice(0, -1) + alphabet[alphabet.indexOf(url.at(-1)!) ^ spareBits]
        expect(Buffer.from(alias.slice(-43), 'base64url')).toEqual(Buffer.from(url.slice(-43), 'base64url'))
        expect(verify(alias, request)).toEqual({ valid: false, reason: 'wrong_signature' })
      }),
    )
  })

  test('is good for its own method only', () => {
    fc.assert(
      fc.property(
        signed,
        fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'get', ''),
        ({ url, ...request }, method) => {
          expect(verify(url, { ...request, method }).valid).toBe(method === request.method)
        },
      ),
    )
  })

  test('takes nothing more in its query, nothing twice, and no other order', () => {
    fc.assert(
      fc.property(signed, ({ url, ...request }) => {
        const [path, query] = url.split('?') as [string, string]
        const [expiry, keyId, signature] = query.split('&') as [string, string, string]
        const queries = [
          '',
          `${query}&x=1`,
          `x=1&${query}`,
          `${query}&${expiry}`,
          `${keyId}&${expiry}&${signature}`,
          `${expiry}&${signature}`,
          `${query}\n`,
        ]
        for (const changed of queries) {
          expect(verify(`${path}?${changed}`, request)).toEqual({ valid: false, reason: 'malformed' })
        }
      }),
    )
  })

  test('lives on while its key is there, in any place, and not without it', () => {
    fc.assert(
      fc.property(signed, ({ url, ...request }) => {
        const [signer, next, ...others] = request.keys
        expect(verify(url, { ...request, keys: [next!, signer, ...others] }).valid).toBe(true)
        expect(verify(url, { ...request, keys: [next!, ...others] })).toEqual({
          valid: false,
          reason: 'unknown_key',
        })
        const impostor = { id: signer.id, secret: next!.secret }
        fc.pre(impostor.secret !== signer.secret)
        expect(verify(url, { ...request, keys: [impostor] })).toEqual({
          valid: false,
          reason: 'wrong_signature',
        })
      }),
    )
  })

  test.each(['reports/a.json', '/a b', '/a%20b', '/a?b', '/a#b', '/ä', '/', `/${'a'.repeat(901)}`])(
    'is not made for the path %j',
    (path) => {
      const keys: SigningKeys = [{ id: 'k1', secret: 'x'.repeat(32) }]
      expect(() => signPath({ method: 'GET', path, expiresAtS: 1_900_000_000, keys })).toThrow(RangeError)
    },
  )

  test.each([0, 999_999_999, 10_000_000_000, 1_900_000_000.5, Number.NaN])(
    'is not made for the expiry %d',
    (expiresAtS) => {
      const keys: SigningKeys = [{ id: 'k1', secret: 'x'.repeat(32) }]
      expect(() => signPath({ method: 'GET', path: '/a', expiresAtS, keys })).toThrow(RangeError)
    },
  )
})

describe('signing keys as configuration', () => {
  const [first, second] = ['a'.repeat(32), `b+/=${'b'.repeat(32)}`]

  test('are read in their order', () => {
    expect(signingKeys.parse(`k2:${first},k1:${second}`)).toEqual([
      { id: 'k2', secret: first },
      { id: 'k1', secret: second },
    ])
  })

  test.each(['', 'k1', 'k1:short', `K1:${first}`, `k1:${first},`, `k1:${first},k1:${second}`, `:${first}`])(
    'are refused: %j',
    (value) => {
      const outcome = signingKeys.safeParse(value)
      expect(outcome.success).toBe(false)
      expect(outcome.error!.message).not.toContain(first)
    },
  )
})
