import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openProviderStore } from './provider-store.ts'

let dataPath: string
beforeEach(async () => {
  dataPath = await mkdtemp(join(tmpdir(), 'tendon-provider-'))
})
afterEach(() => rm(dataPath, { recursive: true, force: true }))

test('what was kept is there after opening again, and only its owner can read the files', async () => {
  const store = openProviderStore(dataPath)
  await store.adapter('Session').upsert('id', { uid: 'u', accountId: 'alice' }, 60)
  expect(await store.secret('key', () => 'first')).toBe('first')
  for (const name of ['identity-provider.sqlite', 'identity-provider.sqlite-wal']) {
    expect((await stat(join(dataPath, name))).mode & 0o777, name).toBe(0o600)
  }
  store.close()
  const again = openProviderStore(dataPath)
  expect(await again.adapter('Session').findByUid('u')).toEqual({ uid: 'u', accountId: 'alice' })
  expect(await again.adapter('Grant').find('id')).toBeUndefined()
  expect(await again.secret('key', () => 'second')).toBe('first')
  again.close()
})

test('a record ends with its time, with its grant, or when it is destroyed', async () => {
  const store = openProviderStore(dataPath)
  const tokens = store.adapter('RefreshToken')
  await tokens.upsert('expired', { grantId: 'g1' }, -1)
  await tokens.upsert('revoked', { grantId: 'g2' }, 60)
  await tokens.upsert('destroyed', { grantId: 'g3' }, 60)
  await tokens.upsert('kept', { grantId: 'g3' }, 60)
  await tokens.revokeByGrantId('g2')
  await tokens.destroy('destroyed')
  const found = await Promise.all(['expired', 'revoked', 'destroyed', 'kept'].map((id) => tokens.find(id)))
  expect(found).toEqual([undefined, undefined, undefined, { grantId: 'g3' }])
  store.close()
})

test.each([
  ['an authorization code', 'AuthorizationCode', 1],
  ['a refresh token', 'RefreshToken', 2],
])('of many who use %s at once, no more do than may', async (_what, model, allowed) => {
  const store = openProviderStore(dataPath)
  const tokens = store.adapter(model)
  await tokens.upsert('token', { grantId: 'g' }, 60)
  const uses = await Promise.allSettled(Array.from({ length: 5 }, () => tokens.consume('token')))
  expect(uses.filter(({ status }) => status === 'fulfilled')).toHaveLength(allowed)
  expect(await tokens.find('token')).toMatchObject({ consumed: expect.any(Number) })
  store.close()
})

test('a refresh token is good once more until one that came of it is used, and nothing else of its sign-in then', async () => {
  const store = openProviderStore(dataPath)
  const tokens = store.adapter('RefreshToken')
  const areConsumed = async (...ids: string[]) =>
    (await Promise.all(ids.map((id) => tokens.find(id)))).map((token) => token && 'consumed' in token)
  const signIn = { grantId: 'g', nonce: 'n' }
  await tokens.upsert('other sign-in', { grantId: 'g', nonce: 'other' }, 60)
  await tokens.upsert('first', signIn, 60)
  await tokens.consume('first')
  await tokens.upsert('lost', signIn, 60)
  expect(await areConsumed('first', 'lost')).toEqual([false, false])
  await tokens.consume('first')
  await tokens.upsert('second', signIn, 60)
  expect(await areConsumed('first', 'lost', 'second')).toEqual([true, false, false])
  await tokens.consume('second')
  expect(await areConsumed('first', 'lost', 'second', 'other sign-in')).toEqual([true, true, false, false])
  await expect(tokens.consume('lost')).rejects.toThrow('invalid_grant')
  store.close()
})

test('sign-ins that were begun and left have a bound, and the oldest go first', async () => {
  const store = openProviderStore(dataPath)
  const interactions = store.adapter('Interaction')
  await interactions.upsert('oldest', {}, 60)
  for (let count = 0; count < 10_000; count += 1) await interactions.upsert(`begun-${count}`, {}, 600)
  store.close()
  const swept = openProviderStore(dataPath)
  expect(await swept.adapter('Interaction').find('oldest')).toBeUndefined()
  expect(await swept.adapter('Interaction').find('begun-0')).toBeDefined()
  swept.close()
})
