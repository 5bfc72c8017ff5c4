import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test, vi } from 'vitest'

const program = fileURLToPath(new URL('stack.ts', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'tendon-stack-'))
const env = {
  ...process.env,
  TENDON_STACK_DIR: folder,
  TENDON_STACK_PORT_OFFSET: String(2_000 + (process.pid % 6_000)),
}
afterAll(async () => {
  await stack('down')
  await rm(folder, { recursive: true, force: true })
})

const begin = (args: string[], over = {}): ChildProcess =>
  spawn(process.execPath, [program, ...args], { env: { ...env, ...over }, stdio: 'pipe' })

async function run(args: string[], over = {}): Promise<{ code: number; out: string; err: string }> {
  const child = begin(args, over)
  const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? -1)))
  const [code, out, err] = await Promise.all([ended, text(child.stdout!), text(child.stderr!)])
  return { code, out, err }
}

const stack = (...args: string[]) => run(args)

test('a part whose start was cut is not up, and the next start ends what that one began', async () => {
  const cut = begin(['up', 'minio'])
  await vi.waitFor(() => expect(existsSync(join(folder, 'minio.pid'))).toBe(true), {
    timeout: 60_000,
    interval: 5,
  })
  cut.kill('SIGKILL')
  expect((await stack('status')).out).toMatch(/^minio +starting, pid \d+/m)
  expect((await stack('up', 'minio')).out).toMatch(/^minio is up on 127\.0\.0\.1:\d+ after/m)
  expect((await stack('status')).out).toMatch(/^minio +up, pid \d+/m)
  expect((await stack('up', 'minio')).out).toMatch(/^minio is up already/m)

  const { out } = await stack('env')
  expect(out).toMatch(/^export S3_ENDPOINT='http:\/\/127\.0\.0\.1:\d+'$/m)
  const [, names] = out.match(/^export TENDON_STACK_EXPORTS='(.+)'$/m)!
  expect((await stack('down')).code).toBe(0)
  // A shell that has them from before is freed of them.
  const former = await run(['env'], { TENDON_STACK_EXPORTS: names })
  expect(former.out.split('\n')).toEqual([
    ...names!.split(' ').map((name) => `unset ${name}`),
    `export TENDON_STACK_EXPORTS=''`,
    '',
  ])
  expect(former).toMatchObject({ code: 1, err: 'No part is up: npm run stack -- up\n' })
}, 90_000)

test('who gives up waiting for a part is told where to look, and waits for it again with the same command', async () => {
  const hasty = await run(['up', 'minio'], { TENDON_STACK_START_TIMEOUT_S: '0.001' })
  expect(hasty.code).toBe(1)
  expect(hasty.err).toContain(
    `minio is not ready after 0.001 s. What it is doing stands in ${folder}/minio.log.`,
  )
  expect(hasty.err).toContain('TENDON_STACK_START_TIMEOUT_S=600')
  const { pid } = JSON.parse(await readFile(join(folder, 'minio.pid'), 'utf8'))
  expect((await stack('up', 'minio')).out).toMatch(/^minio is up on 127\.0\.0\.1:\d+ after/m)
  expect((await stack('status')).out).toMatch(new RegExp(`^minio +up, pid ${pid},`, 'm'))
  expect((await stack('down')).code).toBe(0)
}, 90_000)

test.each([
  [['frob'], {}, 'There is no command frob.'],
  [['up', 'frob'], {}, 'There is no part frob.'],
  [['up', 'redis'], { TENDON_STACK_PORT_OFFSET: 'abc' }, 'TENDON_STACK_PORT_OFFSET is not a whole number'],
  [['up', 'redis'], { TENDON_STACK_START_TIMEOUT_S: 'abc' }, 'TENDON_STACK_START_TIMEOUT_S is not a number'],
  [['up', 'redis'], { TENDON_STACK_PORT_OFFSET: '60000' }, 'TENDON_STACK_PORT_OFFSET is not a whole number'],
])('%j with %j is refused in words', async (args, over, words) => {
  const { code, out } = await run(args, over)
  expect(code).toBe(64)
  expect(out).toContain(words)
})
