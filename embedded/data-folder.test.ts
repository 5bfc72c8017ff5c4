import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDataFolder } from './data-folder.ts'

let parent: string
let path: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tendon-data-'))
  path = join(parent, 'data')
})
afterEach(() => rm(parent, { recursive: true, force: true }))

test('secrets are kept across opens, and a reset makes new ones', async () => {
  const first = await openDataFolder(path, { reset: false })
  await first.release()
  await writeFile(join(path, 'something'), 'of a run')
  const second = await openDataFolder(path, { reset: false })
  await second.release()
  expect(second.secrets).toEqual(first.secrets)
  const third = await openDataFolder(path, { reset: true })
  await third.release()
  expect(third.secrets.cdnSigningKeys).not.toBe(first.secrets.cdnSigningKeys)
  expect(existsSync(join(path, 'something'))).toBe(false)
})

test('a folder is held by one process at a time, and a reset cannot take it either', async () => {
  const held = await openDataFolder(path, { reset: false })
  for (const reset of [false, true]) {
    await expect(openDataFolder(path, { reset })).rejects.toMatchObject({ code: 'TENDON-EMBEDDED-001' })
  }
  await held.release()
  await (await openDataFolder(path, { reset: false })).release()
})

test('the folder of a killed process is free at once', async () => {
  const program = `
    import { openDataFolder } from ${JSON.stringify(new URL('./data-folder.ts', import.meta.url).href)}
    await openDataFolder(${JSON.stringify(path)}, { reset: false })
    process.stdout.write('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program])
  await once(child.stdout, 'data')
  await expect(openDataFolder(path, { reset: false })).rejects.toMatchObject({ code: 'TENDON-EMBEDDED-001' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  await (await openDataFolder(path, { reset: false })).release()
})

test("a stranger's folder is never touched", async () => {
  await writeFile(join(parent, 'thesis.doc'), 'years of work')
  await expect(openDataFolder(parent, { reset: true })).rejects.toMatchObject({ code: 'TENDON-EMBEDDED-003' })
  expect(existsSync(join(parent, 'thesis.doc'))).toBe(true)
})
