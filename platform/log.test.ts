import { expect, test } from 'vitest'
import { createLog, redactedFields } from './log.ts'

function capture() {
  const lines: string[] = []
  const log = createLog({ service: 'test', level: 'trace' }, { write: (line) => void lines.push(line) })
  return { log, lines }
}

test('a secret field is cut out at the top of a line and one level below', () => {
  const { log, lines } = capture()
  for (const field of redactedFields) {
    log.info({ [field]: 's3cret', nested: { [field]: 's3cret' } }, 'a line')
  }
  expect(lines).toHaveLength(redactedFields.length)
  expect(lines.join('')).not.toContain('s3cret')
})

test('an error keeps its code and its causes', () => {
  const { log, lines } = capture()
  const cause = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
  log.error({ err: new Error('no answer', { cause }) }, 'failed')
  expect(JSON.parse(lines[0]!)).toMatchObject({
    service: 'test',
    level: 'error',
    err: { message: 'no answer', cause: { message: 'connection refused', error_code: 'ECONNREFUSED' } },
  })
})
