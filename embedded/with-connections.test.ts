import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { envLine } from './connections-file.ts'
import { lockFolder } from './folder-lock.ts'

const runSql = fileURLToPath(import.meta.resolve('./run-sql.ts'))
const launcher = fileURLToPath(new URL('./with-connections.ts', import.meta.url))
let parent: string
let data: string
let script: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tendon-connections-'))
  data = join(parent, "o'data")
  await mkdir(data)
  script = join(parent, 'script.ts')
  await writeFile(
    script,
    `process.stdout.write(JSON.stringify([process.argv.slice(2), process.env.CRM_DATABASE_URL]))
     process.exitCode = 3`,
  )
  await writeFile(join(data, 'connections.env'), envLine('CRM_DATABASE_URL', "postgresql://it's")!)
})
afterEach(() => rm(parent, { recursive: true, force: true }))

/** In a folder where no Tendon runs, without the addresses that this machine may have set. */
function launch(args: string[], env: Record<string, string> = {}) {
  const { PATH = '' } = process.env
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) =>
    execFile(
      process.execPath,
      [launcher, ...args],
      { cwd: parent, env: { PATH, ...env } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
    ),
  )
}

test('a script gets the addresses of the Tendon that runs on the folder, and its exit code is kept', async () => {
  const lock = lockFolder(data)
  try {
    const expected = { code: 3, stdout: `[["status","-x"],"postgresql://it's"]` }
    const env = { TENDON_DATA: data, CRM_DATABASE_URL: 'postgresql://of.others' }
    expect(await launch([script, 'status', '-x'], env)).toMatchObject(expected)
    expect(await launch([script, 'status', '--data', data, '-x'])).toMatchObject(expected)
    expect(await launch([`--data=${data}`, script, 'status', '-x'])).toMatchObject(expected)
  } finally {
    lock.release()
  }
})

test('what a killed Tendon left there is not taken for a running one', async () => {
  const stale = await launch([script], { TENDON_DATA: data })
  expect(stale).toMatchObject({ code: 1, stdout: '' })
  expect(stale.stderr).toMatch(/^No Tendon is running on .*o'data\.\nStart it .* \(TENDON-EMBEDDED-009\)\n$/)
  expect((await launch([script, '--data', '../none'])).stderr).toContain('No Tendon is running on ../none.')
  const asJson = JSON.parse((await launch([script, '--json'])).stderr)
  expect(asJson.error).toMatchObject({
    code: 'TENDON-EMBEDDED-009',
    message: 'No Tendon is running on .tendon.',
  })
})

test('a folder that cannot be read is not said to have no Tendon', async () => {
  const unreadable = await launch([script, '--data', script])
  expect(unreadable).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be read (ENOTDIR)') })
  expect(unreadable.stderr).not.toContain('No Tendon')
})

test('beside real servers no Tendon need run here', async () => {
  const env = { CRM_DATABASE_URL: 'postgresql://crm.example.org/crm' }
  const expected = { code: 3, stdout: '[[],"postgresql://crm.example.org/crm"]' }
  expect(await launch([script], env)).toMatchObject(expected)
})

test('a statement without a database for it, and none at all, are wrong usage', async () => {
  const elsewhere = { CLICKHOUSE_URL: 'http://clickhouse.example.org' }
  const noAddress = await launch([runSql, 'crm', 'SELECT 1'], elsewhere)
  expect(noAddress).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('CRM_DATABASE_URL is not set'),
  })
  const noStatement = await launch([runSql, 'telemetry'], elsewhere)
  expect(noStatement).toMatchObject({ code: 64, stderr: expect.stringContaining('Usage: npm run telemetry') })
})
