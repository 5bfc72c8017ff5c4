import { randomBytes, randomUUID } from 'node:crypto'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { expect, test } from 'vitest'
import { createGenerations } from './generations.ts'

const create = () =>
  createGenerations({ keyValue: createMemoryKeyValue(), now: Date.now, random: randomBytes })

test('of many who ask at once for a user who has none, all get the same', async () => {
  const generations = create()
  const user = randomUUID()
  const given = await Promise.all(Array.from({ length: 50 }, () => generations.current(user)))
  expect(new Set(given).size).toBe(1)
})

test('who leaves a generation that somebody has left before gets on with theirs', async () => {
  const generations = create()
  const user = randomUUID()
  const left = await generations.current(user)
  await generations.leave(user, left)
  const next = await generations.current(user)
  expect(next).not.toBe(left)
  await generations.leave(user, left)
  expect(await generations.current(user)).toBe(next)
})
