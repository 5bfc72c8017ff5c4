import { expect, test } from 'vitest'
import { requireEmbeddedParts } from './platform-support.ts'

const crmDatabaseUrl = 'postgresql://crm.example.org/crm'
const telemetryDatabaseUrl = 'postgresql://telemetry.example.org/telemetry'
const clickhouseUrl = 'http://clickhouse.example.org'
const embedded = { crmDatabaseUrl: undefined, telemetryDatabaseUrl: undefined, clickhouseUrl: undefined }
const windows = { platform: 'win32', arch: 'x64' }
const unsupported = 'TENDON-EMBEDDED-002'

function outcome(
  ...asked: Parameters<typeof requireEmbeddedParts>
): { code: string; message: string } | 'fine' {
  try {
    requireEmbeddedParts(...asked)
    return 'fine'
  } catch (error) {
    return error as { code: string; message: string }
  }
}

test('this machine has all the parts', () => {
  expect(outcome(embedded)).toBe('fine')
})

test('on another platform all that is missing is named, and only what is needed', () => {
  const all = outcome(embedded, windows)
  expect(all).toMatchObject({ code: unsupported, message: expect.stringMatching(/PostgreSQL.*and.*engine/) })
  const engine = outcome({ ...embedded, crmDatabaseUrl, telemetryDatabaseUrl }, windows)
  expect(engine).toMatchObject({ code: unsupported, message: expect.not.stringContaining('PostgreSQL') })
  const oneDatabase = outcome({ ...embedded, crmDatabaseUrl, clickhouseUrl }, windows)
  expect(oneDatabase).toMatchObject({ code: unsupported, message: expect.stringContaining('PostgreSQL') })
  expect(outcome({ crmDatabaseUrl, telemetryDatabaseUrl, clickhouseUrl }, windows)).toBe('fine')
})
