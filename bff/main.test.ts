import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startHostileProvider } from './fixtures/hostile-provider.fixture.ts'
import { TestBrowser } from './fixtures/test-browser.fixture.ts'

const secrets = { OIDC_CLIENT_SECRET: 'secret', SESSION_KEYS: `k1:${randomBytes(32).toString('base64')}` }

/** A process of its own, as soon as it is ready. */
async function startProcess(env: Record<string, string>) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PORT: '0',
      OPERATIONS_PORT: '0',
      PUBLIC_URL: 'http://localhost',
      // Asked with the first sign-in.
      OIDC_ISSUER: 'http://127.0.0.1:1',
      REPORTS_SERVICE_URL: 'http://127.0.0.1:1',
      ...secrets,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const { url, operationsUrl } = await new Promise<Record<'url' | 'operationsUrl', string>>(
    (resolve, reject) => {
      child.once('exit', () => reject(new Error('the process ended before it was ready')))
      createInterface({ input: child.stdout }).on('line', (line) => {
        lines.push(line)
        const { msg, url, operations_url: operationsUrl } = JSON.parse(line)
        if (msg === 'ready') resolve({ url, operationsUrl })
      })
    },
  )
  return { child, lines, url, operationsUrl }
}

test('a process of its own writes its audit log into the file it is told, and nowhere else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-bff-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const auditLogFile = join(folder, 'made', 'audit.jsonl')
  const { child, lines, url } = await startProcess({ AUDIT_LOG_FILE: auditLogFile })

  const refused = await fetch(`${url}/auth/logout`, { method: 'POST' })
  expect(refused.status).toBe(403)
  // On disk before the request was answered: what was refused is not lost with the process.
  const audited = (await readFile(auditLogFile, 'utf8')).trim().split('\n')
  expect(audited.map((line) => JSON.parse(line))).toMatchObject([
    {
      stream: 'audit',
      action: 'cross_site_request',
      outcome: 'refused',
      request_id: refused.headers.get('x-request-id'),
    },
  ])
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(lines.filter((line) => line.includes('cross_site_request'))).toEqual([])
})

test('metrics and readiness are not on the public port', async () => {
  const { url, operationsUrl } = await startProcess({})
  const statusOf = async (path: string) => (await fetch(path)).status
  expect(await (await fetch(`${operationsUrl}/metrics`)).text()).toContain('# HELP tendon_bff_')
  expect(await statusOf(`${operationsUrl}/readyz`)).toBe(200)
  expect([await statusOf(`${url}/metrics`), await statusOf(`${url}/readyz`)]).toEqual([404, 404])
  expect(await statusOf(`${url}/healthz`)).toBe(200)
})

test('a process that is told to stop while the provider takes its time over new tokens ends with them', async () => {
  const provider = await startHostileProvider({ lifetimeSeconds: 1 })
  onTestFinished(() => provider.stop())
  const { child, lines, url } = await startProcess({ OIDC_ISSUER: provider.issuer, LOG_LEVEL: 'debug' })
  const browser = new TestBrowser()
  const login = await browser.request(`${url}/auth/login`)
  const callback = provider.answer(login.headers.get('location') ?? '')
  expect((await browser.request(url + callback)).status).toBe(303)

  const token = provider.holdTokenEndpoint()
  const cookie = `session_id=${browser.cookie('session_id')!.value}`
  // Half of its life is the margin before the end of the access token.
  await vi.waitFor(async () => {
    await fetch(`${url}/api/reports`, { headers: { cookie }, signal: AbortSignal.timeout(100) }).catch(
      () => {},
    )
    expect(token.isAsked()).toBe(true)
  }, 5_000)
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  // Longer than other services take to stop at most.
  setTimeout(token.letGo, 10_000)
  expect(await exit).toEqual([0, null])
  expect(lines.filter((line) => line.includes('did not stop'))).toEqual([])
  expect(token.isAnswered()).toBe(true)
}, 30_000)
