import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keysOf, objectStoreSuite } from './object-store.suite.ts'
import { createFolderStore } from './object-store-folder.ts'

objectStoreSuite('folder store', async () => {
  const path = await mkdtemp(join(tmpdir(), 'tendon-objects-'))
  return { store: createFolderStore(join(path, 'made/by/check')), close: () => rm(path, { recursive: true }) }
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tendon-objects-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('keeps objects whose names are folders of others', async () => {
  const store = createFolderStore(join(folder, 'nested'))
  const attributes = { contentType: 'text/plain' }
  for (const key of ['a', 'a/b', 'a/b/c']) await store.put(key, Buffer.from(key), attributes)
  expect(await keysOf(store, '')).toEqual(['a', 'a/b', 'a/b/c'])
  expect(Buffer.from((await store.get('a/b'))!.body).toString()).toBe('a/b')
})

test('leaves no empty folders, and takes none from under a writer', async () => {
  const path = join(folder, 'emptied')
  const store = createFolderStore(path)
  const attributes = { contentType: 'text/plain' }
  const [others, kept] = [Array.from({ length: 20 }, (_, n) => `a/b/c/${n}`), 'a/kept']
  await store.put(kept, Buffer.from('kept'), attributes)
  await Promise.all(
    others.map(async (key, n) => {
      for (let round = 0; round < 10; round += 1) {
        await store.put(key, Buffer.from(key), attributes, { onlyIfAbsent: n % 2 === 0 })
        await store.delete(key)
      }
    }),
  )
  expect(await keysOf(store, '')).toEqual([kept])
  expect(await readdir(join(path, 'a'))).toEqual(['kept@'])
  await store.delete(kept)
  expect(await readdir(path)).toEqual(['@tmp'])
})

test('shows whole objects only after the writer was killed', async () => {
  const path = join(folder, 'killed')
  const writer = spawn(process.execPath, ['--input-type=module', '-e', endlessWriter, storeModule, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // Some objects are there by then, and others are being written.
  for await (const line of writer.stdout) if (String(line).includes('50')) break
  writer.kill('SIGKILL')
  await once(writer, 'exit')

  const store = createFolderStore(path)
  const keys = await keysOf(store, '')
  expect(keys.length).toBeGreaterThan(0)
  for (const key of keys) {
    const object = await store.get(key)
    const [fill, length] = object!.contentType.split('/').map(Number)
    expect(Buffer.compare(object!.body, Buffer.alloc(length!, fill!))).toBe(0)
  }
})

const storeModule = new URL('object-store-folder.ts', import.meta.url).href
/** Four loops that rewrite ten objects for ever, each object with its filling and length as its type. */
const endlessWriter = `
const [, storeModule, path] = process.argv
const { createFolderStore } = await import(storeModule)
const store = createFolderStore(path)
let written = 0
async function write(seed) {
  for (let n = seed; ; n += 4) {
    const length = 100_000 + n * 1_000 % 1_000_000
    await store.put('object/' + n % 10, Buffer.alloc(length, n % 256), { contentType: n % 256 + '/' + length })
    if (++written % 50 === 0) process.stdout.write(written + '\\n')
  }
}
for (const seed of [0, 1, 2, 3]) write(seed)
`

test('sweeps what killed writers left, and spares what is being written', async () => {
  const path = join(folder, 'swept')
  const store = createFolderStore(path)
  await store.check()
  const [old, fresh] = [join(path, '@tmp/old'), join(path, '@tmp/fresh')]
  await writeFile(old, 'half of')
  await writeFile(fresh, 'half of')
  await utimes(old, new Date(0), new Date(0))
  await store.check()
  expect(await readdir(join(path, '@tmp'))).toEqual(['fresh'])
  expect(await keysOf(store, '')).toEqual([])
})

test('says that the folder cannot be used', async () => {
  await writeFile(join(folder, 'file'), 'in the way')
  const store = createFolderStore(join(folder, 'file/objects'))
  await expect(store.check()).rejects.toMatchObject({ code: 'TENDON-PLATFORM-011' })
  await expect(store.put('a', Buffer.from('a'), { contentType: 'text/plain' })).rejects.toMatchObject({
    code: 'TENDON-PLATFORM-011',
  })
})
