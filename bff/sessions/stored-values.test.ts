import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createLog } from '@tendon/platform/log.ts'
import { expect, test } from 'vitest'
import { createSignInTransactions } from '../sign-in/sign-in-transactions.ts'
import { createEndSessions } from './end-sessions.ts'
import { sessionKey } from './session.ts'
import { accountOf, createSessionIndex, isReadable } from './session-index.ts'
import { createSessionStore } from './session-store.ts'
import { createTokenEncryption } from './token-encryption.ts'

const log = createLog({ service: 'test', level: 'fatal' })
const keyValue = createMemoryKeyValue()
const encryption = createTokenEncryption([{ id: 'k1', key: Buffer.alloc(32, 1) }])
const options = { keyValue, encryption, sessionMs: 3_600_000, idleMs: 1_800_000, now: Date.now }
const index = createSessionIndex(options)
const endSessions = createEndSessions({ keyValue, index, log })
const sessions = createSessionStore({ ...options, index, endSessions })
const transactions = createSignInTransactions({ keyValue, encryption })

const issued = {
  accessToken: 'access',
  accessTokenExpiresAtMs: Date.now() + 300_000,
  renewAtMs: Date.now() + 270_000,
  refreshToken: 'refresh',
  issuedAtSeconds: 0,
  audiences: [],
}
const visit = { device: 'Firefox on Linux', address: '192.0.2.1' }

// TypeScript knows what this version writes, and not what another has written.
test.each<[string, object, object, [boolean, boolean]]>([
  ['as this one does', {}, {}, [true, true]],
  ['without the audiences', { audiences: undefined }, {}, [false, true]],
  ['with a device that is no text', {}, { device: 7 }, [true, false]],
])('a session that a version wrote %s', async (how, otherTokens, otherVisit, [loads, isListedInFull]) => {
  const identity = { sub: how, iat: 0, roles: [] }
  const { id } = await sessions.create(
    { ...issued, ...otherTokens, identity },
    { ...visit, ...otherVisit },
    Date.now(),
  )
  expect((await sessions.load(id)) !== undefined).toBe(loads)
  expect((await index.list(how)).map(isReadable)).toEqual([isListedInFull])
  expect(await endSessions.all({ account: accountOf(how) })).toBe(1)
})

test('what is kept of one session, or of one sign-in, opens for no other', async () => {
  const identity = { sub: 'alice', iat: 0, roles: [] }
  const create = () => sessions.create({ ...issued, identity }, visit, Date.now())
  const [own, another] = [await create(), await create()]
  const signIn = { nonce: 'n', codeVerifier: 'v', returnTo: '/', begunAtMs: 1, isReauthentication: false }
  const states = ['a', 'b'].map((letter) => letter.repeat(43))
  const [, secret] = [
    await transactions.begin(states[0]!, signIn),
    await transactions.begin(states[1]!, signIn),
  ]
  for (const [from, to] of [
    [sessionKey(another.hash), sessionKey(own.hash)],
    states.map((state) => `tendon:login:${state}`),
  ] as [string, string][])
    await keyValue.set(to, (await keyValue.get(from))!, { ttlMs: 60_000 })
  expect(await sessions.load(own.id)).toBeUndefined()
  expect((await sessions.load(another.id))?.session).toEqual(another.session)
  await expect(transactions.take(states[1]!, secret)).rejects.toMatchObject({ code: 'TENDON-BFF-003' })
})

test('a sign-in that another version began otherwise is not under way', async () => {
  const signIn = { nonce: 'n', codeVerifier: 'v', returnTo: '/', begunAtMs: 1, isReauthentication: false }
  const state = 's'.repeat(43)
  const secret = await transactions.begin(state, signIn)
  expect(await transactions.take(state, secret)).toMatchObject(signIn)
  const other = await transactions.begin(state, { ...signIn, ...({ nonce: undefined } as object) })
  await expect(transactions.take(state, other)).rejects.toMatchObject({ code: 'TENDON-BFF-003' })
})
