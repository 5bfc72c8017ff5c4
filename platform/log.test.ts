import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { bufferedLines, createLog, redactedFields } from './log.ts'

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

test('a secret is cut out at any depth, however its name is spelled, and from bindings', () => {
  const { log, lines } = capture()
  log.info({ a: { b: [{ password: 's3cret' }] } }, 'deep')
  log.info({ headers: { Authorization: 'Bearer s3cret', 'Set-Cookie': ['id=s3cret'] } }, 'headers')
  log.info({ s3: { secretAccessKey: 's3cret', accessToken: { value: 's3cret' } } }, 'camel case')
  log.child({ session: { session_id: 's3cret' } }).info('of a child')
  expect(lines).toHaveLength(4)
  expect(lines.join('')).not.toContain('s3cret')
  expect(JSON.parse(lines[0]!)).toMatchObject({ msg: 'deep', a: { b: [{ password: '[redacted]' }] } })
})

test('a token is cut out wherever it stands', () => {
  const { log, lines } = capture()
  const token = ['{"alg":"RS256"}', '{"sub":"alice"}', 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
  log.info({ url: `/callback?hint=${token}&x=1` }, `refused ${token}`)
  log.error({ err: new Error(`bad token\n${token}`) })
  expect(lines.join('')).not.toContain(token.slice(0, 12))
  expect(JSON.parse(lines[0]!)).toMatchObject({
    url: '/callback?hint=[redacted]&x=1',
    msg: 'refused [redacted]',
  })
})

test('what looks like many tokens takes no longer than it is long', () => {
  const { log, lines } = capture()
  const path = `/${'eyJ'.repeat(20_000)}`
  const startedMs = performance.now()
  log.info({ path }, 'anybody may ask for it')
  expect(performance.now() - startedMs).toBeLessThan(500)
  expect(JSON.parse(lines[0]!).path).toBe(path)
})

test('what a failure is told by is kept', () => {
  const { log, lines } = capture()
  const told = {
    exit_code: 1,
    code: 'E17',
    signal: 'SIGKILL',
    tokens: 3,
    reason: 'the "password": field is empty',
  }
  log.error(told, 'ended')
  expect(JSON.parse(lines[0]!)).toMatchObject(told)
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

test('buffered lines are all written, in their order, however many and in whatever script', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tendon-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'lines')
  const log = createLog({ service: 'test' }, bufferedLines(openSync(path, 'a')))
  const names = Array.from({ length: 2_000 }, (_, n) => `Zoë ${n} 義手`)
  for (const name of names) log.info({ name })
  await vi.waitFor(
    () => {
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
      expect(lines.map((line) => JSON.parse(line).name)).toEqual(names)
    },
    { timeout: 20_000, interval: 50 },
  )
})
