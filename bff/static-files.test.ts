import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createStaticFiles } from './static-files.ts'

let folder: string
let app: ReturnType<typeof createStaticFiles>['app']
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tendon-web-'))
  await mkdir(join(folder, 'web', 'assets'), { recursive: true })
  await writeFile(join(folder, 'secret.txt'), 'secret')
  await writeFile(join(folder, 'web', 'index.html'), '<!doctype html><title>Tendon</title>')
  await writeFile(join(folder, 'web', 'icon.svg'), '<svg/>')
  await writeFile(join(folder, 'web', 'assets', 'main-4f2a.js'), 'export {}')
  const files = createStaticFiles({ webRoot: join(folder, 'web'), https: false })
  await files.load()
  app = files.app
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const cacheControl = async (path: string) => (await app.request(path)).headers.get('cache-control')

test('hashed files stay for ever, the page never', async () => {
  expect(await cacheControl('/assets/main-4f2a.js')).toBe('public, max-age=31536000, immutable')
  expect(await cacheControl('/icon.svg')).toBe('public, max-age=300')
  expect(await cacheControl('/')).toBe('no-store')
  expect(await cacheControl('/index.html')).toBe('no-store')
  expect((await app.request('/assets/main-4f2a.js')).headers.get('content-type')).toContain('text/javascript')
})

test('the page is at /, whatever it is asked to show, and an unknown address is a page that says so', async () => {
  expect(await (await app.request('/?view=trend&date=2026-01-31')).text()).toContain('<title>Tendon</title>')
  for (const path of ['/nope', '/reports/2026-01-31', '/auth/none', '/assets/none.js', '/<script>']) {
    const opened = await app.request(path, { headers: { accept: 'text/html,*/*;q=0.8' } })
    expect([opened.status, opened.headers.get('cache-control')], path).toEqual([404, 'no-store'])
    const text = await opened.text()
    expect(text).toContain('<a href="/">')
    // Without one a browser asks for /favicon.ico, which there is not.
    expect(text).toContain('<link rel="icon" href="/icon.svg"')
    expect(text).not.toContain('<script>')
    // For what is no person the app says it as it says everything.
    const part = await app.request(path, { headers: { accept: '*/*' } })
    expect([part.status, await part.text()], path).toEqual([404, '404 Not Found'])
  }
})

test('no address leads out of the folder', async () => {
  for (const path of [
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '//secret.txt',
    '/%00',
  ]) {
    expect(await (await app.request(path)).text(), path).not.toContain('secret')
  }
})

test('compressed for whom it suits, and not sent again to whom has it', async () => {
  const packed = await app.request('/assets/main-4f2a.js', {
    headers: { 'accept-encoding': 'gzip, deflate' },
  })
  expect(packed.headers.get('content-encoding')).toBe('gzip')
  const etag = packed.headers.get('etag')!
  const again = await app.request('/assets/main-4f2a.js', { headers: { 'if-none-match': etag } })
  expect([again.status, await again.text()]).toEqual([304, ''])
})
