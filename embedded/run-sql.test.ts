import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { afterAll, expect, test } from 'vitest'

const postgres = await startTestPostgres()
afterAll(() => postgres.remove())
const program = fileURLToPath(import.meta.resolve('./run-sql.ts'))
const url = await postgres.freshDatabase()

const runSql = (sql: string, source = 'crm', variable = 'CRM_DATABASE_URL') =>
  new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) =>
    execFile(
      process.execPath,
      [program, source, sql],
      { env: { ...process.env, [variable]: url } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
    ),
  )

test('values are what PostgreSQL writes, whatever JavaScript would make of them', async () => {
  const values = `'infinity'::date AS day, 'NaN'::float AS number, '{"a": 1, "a": 2}'::json AS json, 'null'::jsonb AS none,
    '1 day 2 h'::interval AS span, '\\x00ff'::bytea AS bytes, true AS yes, NULL AS nothing`
  const { stdout, stderr } = await runSql(`SELECT ${values}`)
  expect(JSON.parse(stdout)).toEqual({
    day: 'infinity',
    number: 'NaN',
    json: '{"a": 1, "a": 2}',
    none: 'null',
    span: '1 day 02:00:00',
    bytes: '\\x00ff',
    yes: 't',
    nothing: null,
  })
  expect(stderr).toBe('SELECT 1\n')
})

test('of the telemetry as of the CRM', async () => {
  const answered = await runSql('SELECT 1 AS n', 'telemetry', 'TELEMETRY_DATABASE_URL')
  expect(answered).toEqual({ code: 0, stdout: '{"n":"1"}\n', stderr: 'SELECT 1\n' })
})

test('what is no statement, or more than one, does nothing', async () => {
  expect(await runSql('CREATE TABLE first (id int)')).toEqual({ code: 0, stdout: '', stderr: 'CREATE\n' })
  const several = await runSql('INSERT INTO first VALUES (1); DROP TABLE first')
  expect(several).toEqual({ code: 1, stdout: '', stderr: 'These are several statements; one at a time.\n' })
  expect((await runSql('SELECT count(*) FROM first')).stdout).toBe('{"count":"0"}\n')
  expect((await runSql('SELEC 1')).stderr).toBe('syntax error at or near "SELEC" (character 1)\n')
})
