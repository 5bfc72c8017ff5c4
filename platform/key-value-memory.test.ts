import { expect, test } from 'vitest'
import { keyValueSuite } from './key-value.suite.ts'
import { createMemoryKeyValue } from './key-value-memory.ts'

keyValueSuite('key-value in memory', async () => {
  let nowMs = 1_700_000_000_000
  const keyValue = createMemoryKeyValue({ now: () => nowMs })
  return {
    keyValue,
    elsewhere: keyValue,
    prefix: '',
    async elapse(ms) {
      nowMs += ms
    },
    close: () => keyValue.close(),
  }
})

test('does not hoard what has ended: sessions that nobody asks for again', async () => {
  let nowMs = 0
  const keyValue = createMemoryKeyValue({ now: () => nowMs })
  await keyValue.set('kept', 'for ever')
  for (let index = 0; index < 50_000; index += 1) {
    nowMs += 1
    await keyValue.set(`session ${index}`, 'x', { ttlMs: 1_000 })
  }
  // A thousand live at any time; as many writes again may happen before the next sweep.
  expect(keyValue.size()).toBeLessThanOrEqual(3_001)
  expect(await keyValue.get('kept')).toBe('for ever')
})
