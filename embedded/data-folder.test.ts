import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { explainError } from '@tendon/platform/process-config.ts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDataFolder } from './data-folder.ts'
import { isFolderHeld } from './folder-lock.ts'

let parent: string
let path: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tendon-data-'))
  path = join(parent, 'data')
})
afterEach(() => rm(parent, { recursive: true, force: true }))

const heldCode = { code: 'TENDON-EMBEDDED-001' }
const foreignCode = { code: 'TENDON-EMBEDDED-003' }

/** Waits for a line on its input, then opens the folder, says how that went, and lives until it is killed. */
function opener(): ChildProcess {
  const program = `
    import { openDataFolder } from ${JSON.stringify(new URL('./data-folder.ts', import.meta.url).href)}
    process.stdout.write('loaded')
    process.stdin.once('data', () => openDataFolder(${JSON.stringify(path)}, { reset: false }).then(
      () => process.stdout.write('held'), (error) => process.stdout.write(error.code ?? String(error))))`
  return spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

async function said(child: ChildProcess): Promise<string> {
  const [chunk] = await once(child.stdout!, 'data')
  return String(chunk)
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

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

test('a folder is held once in a process too, and a reset cannot take it either', async () => {
  expect(isFolderHeld(path)).toBe(false)
  const held = await openDataFolder(path, { reset: false })
  for (const reset of [false, true]) {
    await expect(openDataFolder(path, { reset })).rejects.toMatchObject(heldCode)
  }
  expect(isFolderHeld(path)).toBe(true)
  await held.release()
  expect(isFolderHeld(path)).toBe(false)
  await (await openDataFolder(path, { reset: false })).release()
})

test('of many processes at once exactly one holds the folder, and killed it is free at once', async () => {
  const openers = Array.from({ length: 6 }, opener)
  try {
    await Promise.all(openers.map(said))
    const answers = openers.map(said)
    for (const child of openers) child.stdin!.write('go\n')
    const outcomes = await Promise.all(answers)
    expect(outcomes.toSorted()).toEqual([...Array(5).fill(heldCode.code), 'held'])
    expect(isFolderHeld(path)).toBe(true)
    await expect(openDataFolder(path, { reset: false })).rejects.toMatchObject(heldCode)
    await kill(openers[outcomes.indexOf('held')]!)
    expect(isFolderHeld(path)).toBe(false)
    await (await openDataFolder(path, { reset: false })).release()
  } finally {
    for (const child of openers) child.kill('SIGKILL')
  }
})

test('a start or a reset that was killed on its way leaves a folder that its owner can use', async () => {
  await mkdir(path)
  await writeFile(join(path, 'tendon.json.new'), '{"sess')
  await (await openDataFolder(path, { reset: false })).release()

  // A database that somebody still runs stops the reset half way.
  const cluster = join(path, 'some-postgres', 'cluster')
  await mkdir(cluster, { recursive: true })
  const program = ['-e', 'setInterval(() => {}, 1000)', 'postgres', '-D', cluster]
  const database = spawn(process.execPath, [...program, `tendon.started_by=${process.pid}`, 'x'])
  try {
    await writeFile(join(cluster, 'postmaster.pid'), String(database.pid))
    await expect(openDataFolder(path, { reset: true })).rejects.toMatchObject({ code: 'TENDON-SOURCES-005' })
  } finally {
    await kill(database)
  }
  await (await openDataFolder(path, { reset: true })).release()
  expect((await readdir(path)).toSorted()).toEqual(['lock.db', 'tendon.json'])
})

test("a stranger's folder is never touched", async () => {
  await writeFile(join(parent, 'thesis.doc'), 'years of work')
  await writeFile(join(parent, 'tendon.json.new'), 'of somebody else')
  await expect(openDataFolder(parent, { reset: true })).rejects.toMatchObject(foreignCode)
  expect((await readdir(parent)).toSorted()).toEqual(['tendon.json.new', 'thesis.doc'])
})

test("a folder of Tendon's that has lost its marker is told from a stranger's", async () => {
  await mkdir(path)
  await writeFile(join(path, 'tendon.log'), '')
  await expect(openDataFolder(path, { reset: true })).rejects.toMatchObject({
    ...foreignCode,
    message: expect.stringContaining('no tendon.json'),
  })
})

test('folders above that are missing are made', async () => {
  await (await openDataFolder(join(path, 'of', 'mine'), { reset: false })).release()
  expect(existsSync(join(path, 'of', 'mine', 'tendon.json'))).toBe(true)
})

test('what cannot be a data folder is refused with what is wrong with it', async () => {
  const unusable = async (folder: string) => {
    const refusal = await openDataFolder(folder, { reset: false }).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(refusal).toMatchObject({ code: 'TENDON-EMBEDDED-008' })
    return explainError(refusal)
  }
  const file = join(parent, 'file')
  await writeFile(file, '')
  expect(await unusable(file)).toContain('ENOTDIR')
  expect(await unusable(join(file, 'below'))).toContain('ENOTDIR')
  // A file system that takes no folders; `mkdir` with `recursive` does not come back from it.
  if (existsSync('/proc/self')) expect(await unusable('/proc/tendon/data')).toContain('ENOENT')
  await mkdir(path)
  await writeFile(join(path, 'tendon.json'), '{bad')
  expect(await unusable(path)).toMatch(/tendon\.json cannot be read\.\nReason: .*JSON/)
  await writeFile(join(path, 'tendon.json'), '{}')
  expect(await unusable(path)).toMatch(/\nReason: .*sessionEncryptionKeys/)
})
