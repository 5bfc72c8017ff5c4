import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { buildWeb } from './build.ts'

const maxScriptBytes = 150_000

test('pages are built once, for as long as their sources are the same', async () => {
  const dist = await buildWeb()
  // A build begins with a folder of its own beside the others.
  const changedAt = async () => (await stat(dirname(dist))).mtimeMs
  const before = await changedAt()
  expect(await buildWeb()).toBe(dist)
  expect(await changedAt()).toBe(before)
})

test("the page holds nothing that `default-src 'self'` forbids, and names no other origin", async () => {
  const html = await readFile(join(await buildWeb(), 'index.html'), 'utf8')
  expect(html).toMatch(/<script type="module"[^>]* src="\/assets\/[^"]+\.js"><\/script>/)
  expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:|data:|https?:/i)
})

test('all scripts together stay below 150 KB as they travel', async () => {
  const assets = join(await buildWeb(), 'assets')
  const scripts = (await readdir(assets)).filter((name) => name.endsWith('.js'))
  const sizes = await Promise.all(
    scripts.map(async (name) => gzipSync(await readFile(join(assets, name))).length),
  )
  expect(scripts.length).toBeGreaterThan(0)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(maxScriptBytes)
})
