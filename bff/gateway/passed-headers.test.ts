import { expect, test } from 'vitest'
import { headersForService } from './passed-headers.ts'

test('what Connection lists stays here, and no list takes longer to read than it is long', () => {
  const list = ` Range , if-match${' '.repeat(100_000)}x,,PREFER\t`
  const given = { range: 'bytes=0-1', 'if-match': '"1"', prefer: 'wait=1', accept: '*/*', connection: list }
  const startedMs = performance.now()
  expect(headersForService(given, {})).toEqual({ accept: '*/*', 'if-match': '"1"' })
  expect(performance.now() - startedMs).toBeLessThan(1_000)
})
