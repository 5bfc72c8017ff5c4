import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'

test('a process of its own writes its audit log into the file it is told, and nowhere else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-bff-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const auditLogFile = join(folder, 'made', 'audit.jsonl')
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PORT: '0',
      PUBLIC_URL: 'http://localhost',
      // Asked with the first sign-in, which nobody begins here.
      OIDC_ISSUER: 'http://127.0.0.1:1',
      OIDC_CLIENT_SECRET: 'secret',
      REPORTS_SERVICE_URL: 'http://127.0.0.1:1',
      SESSION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
      AUDIT_LOG_FILE: auditLogFile,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the process ended before it was ready')))
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      const { msg, url } = JSON.parse(line)
      if (msg === 'ready') resolve(url)
    })
  })

  const refused = await fetch(`${url}/auth/logout`, { method: 'POST' })
  expect(refused.status).toBe(403)
  // On disk before the request was answered: what was refused is not lost with the process.
  const audited = (await readFile(auditLogFile, 'utf8')).trim().split('\n')
  expect(audited.map((line) => JSON.parse(line))).toMatchObject([
    { action: 'cross_site_request', outcome: 'refused', request_id: refused.headers.get('x-request-id') },
  ])
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(lines.filter((line) => line.includes('cross_site_request'))).toEqual([])
})
