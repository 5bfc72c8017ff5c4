import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createLog } from '@tendon/platform/log.ts'
import { expect, test } from 'vitest'
import { keysTimeoutMs, providerTimeoutMs } from '../relying-party/provider-connection.ts'
import { createEndSessions } from './end-sessions.ts'
import { accountOf, createSessionIndex } from './session-index.ts'
import { createSessionStore } from './session-store.ts'
import { createTokenEncryption, encryptionKeysOption } from './token-encryption.ts'

const log = createLog({ service: 'test', level: 'fatal' })
const clock = { skewMs: 0 }
const now = () => Date.now() + clock.skewMs
const encryption = createTokenEncryption(
  encryptionKeysOption.parse(`k1:${Buffer.alloc(32, 1).toString('base64')}`),
)
const issued = {
  accessToken: 'access',
  accessTokenExpiresAtMs: now() + 300_000,
  renewAtMs: now() + 270_000,
  refreshToken: 'refresh',
  issuedAtSeconds: 0,
  audiences: [],
  identity: { sub: 'alice', iat: 0, sid: 'sid-of-alice', roles: [] },
}
const visit = { device: 'Firefox on Linux', address: '192.0.2.1' }

/** A store that answers so many times, and is then lost, as to a process that dies. */
function openStore(memory: KeyValue = createMemoryKeyValue({ now }), ownNow = now, idleMs = 3_600_000) {
  let answersLeft = Number.POSITIVE_INFINITY
  const keyValue = new Proxy<KeyValue>(memory, {
    get:
      (target, name: keyof KeyValue) =>
      async (...args: never[]) => {
        answersLeft -= 1
        if (answersLeft < 0) throw new Error('lost')
        return (target[name] as (...given: never[]) => unknown)(...args)
      },
  })
  const times = { sessionMs: 3_600_000, idleMs }
  const index = createSessionIndex({ keyValue, encryption, sessionMs: times.sessionMs, now: ownNow })
  const endSessions = createEndSessions({ keyValue, index, log })
  const sessions = createSessionStore({ keyValue, encryption, index, endSessions, ...times, now: ownNow })
  return {
    index,
    endSessions,
    sessions,
    create: () => sessions.create(issued, visit, now()),
    loseAfter(answers: number) {
      answersLeft = answers
    },
  }
}

test.each([
  ['all of an account', { account: accountOf('alice') }],
  ['all of a session at the provider', { sid: 'sid-of-alice' }],
])(
  'ending %s may be cut off anywhere: what still lives is found when it is done again',
  async (_what, owner) => {
    for (let answers = 0, isCutOff = true; isCutOff; answers += 1) {
      const store = openStore()
      const created = [await store.create(), await store.create(), await store.create()]
      const living = async () => {
        const loaded = await Promise.all(created.map(({ id }) => store.sessions.load(id)))
        return loaded.flatMap((session) => session?.hash ?? [])
      }
      store.loseAfter(answers)
      isCutOff = await store.endSessions.all(owner).then(
        () => false,
        () => true,
      )
      store.loseAfter(Number.POSITIVE_INFINITY)
      if (!isCutOff) expect(await living()).toEqual([])
      const listed = (await store.index.listOf(owner)).map(({ hash }) => hash)
      expect(listed, `after ${answers}`).toEqual(expect.arrayContaining(await living()))
      await store.endSessions.all(owner)
      expect(await living()).toEqual([])
      expect(await store.index.listOf(owner)).toEqual([])
    }
  },
)

test('of more sessions than anybody has browsers the oldest end, and cut off anywhere none lives that no list shows', async () => {
  for (let answers = 1, isCutOff = true; isCutOff; answers += 1) {
    const store = openStore()
    const created = [await store.create()]
    while (created.length < 50) created.push(await store.create())
    store.loseAfter(answers)
    const added = await store.create().catch(() => undefined)
    store.loseAfter(Number.POSITIVE_INFINITY)
    isCutOff = added === undefined
    // It makes up for what was cut off.
    created.push(added ?? (await store.create()))
    const listed = (await store.index.list('alice')).map(({ hash }) => hash)
    const exist = await Promise.all(listed.map((hash) => store.sessions.exists(hash)))
    expect(exist.filter(Boolean), `after ${answers}`).toHaveLength(50)
    const loaded = await Promise.all(created.map(({ id }) => store.sessions.load(id)))
    const living = loaded.flatMap((session) => session?.hash ?? [])
    expect(listed, `after ${answers}`).toEqual(expect.arrayContaining(living))
    expect([loaded[0], loaded.at(-1)]).toEqual([undefined, expect.anything()])
  }
})

test('a session that is used does not end for those that nobody uses, however many were begun after it', async () => {
  const store = openStore(undefined, now, 600_000)
  const { id } = await store.create()
  for (let begun = 0; begun < 55; begun += 1) {
    clock.skewMs += 60_000
    await store.sessions.use((await store.sessions.load(id))!, visit)
    await store.create()
  }
  expect(await store.sessions.load(id)).toBeDefined()
  expect((await store.index.list('alice')).length).toBeLessThanOrEqual(50)
})

test('a session that has ended has, also when the lists cannot be written', async () => {
  const store = openStore()
  const { id, hash, session } = await store.create()
  store.loseAfter(1)
  expect(await store.endSessions.one(session, hash)).toBe(true)
  store.loseAfter(Number.POSITIVE_INFINITY)
  expect(await store.sessions.load(id)).toBeUndefined()
})

test('a person of several sessions is known by name until the last of them ends, whichever is noted last', async () => {
  const store = openStore()
  const older = await store.create()
  clock.skewMs += 1_800_000
  const newer = await store.create()
  await store.sessions.use(older, visit)
  clock.skewMs += 2_700_000
  expect(await store.sessions.load(older.id)).toBeUndefined()
  expect(await store.sessions.load(newer.id)).toBeDefined()
  expect(await store.index.accountsOf({ username: 'alice' })).toEqual([accountOf('alice')])
})

test('who is signed out during a sign-in is not signed in by it, as long as the provider may take over it', async () => {
  const store = openStore()
  const begunAtMs = now()
  clock.skewMs += 1
  await store.endSessions.all({ account: accountOf('alice') })
  clock.skewMs += 2 * providerTimeoutMs + keysTimeoutMs
  await expect(store.sessions.create(issued, visit, begunAtMs)).rejects.toMatchObject({
    code: 'TENDON-BFF-002',
  })
  expect(await store.index.list('alice')).toEqual([])
  expect(await store.create()).toBeDefined()
})

test.each([
  ['behind', -60_000],
  ['ahead', 60_000],
])(
  'a sign-out at the provider wins over a sign-in of it also when its instance has a clock that is %s',
  async (_what, skewMs) => {
    const memory = createMemoryKeyValue({ now })
    const [told, signingIn] = [openStore(memory, () => now() + skewMs), openStore(memory)]
    const begunAtMs = now()
    await told.endSessions.all({ sid: 'sid-of-alice' })
    await expect(signingIn.sessions.create(issued, visit, begunAtMs)).rejects.toMatchObject({
      code: 'TENDON-BFF-002',
    })
    expect(await signingIn.index.list('alice')).toEqual([])
  },
)
