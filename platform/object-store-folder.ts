import { createHash, randomUUID } from 'node:crypto'
import type { Dirent, Stats } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { z } from 'zod'
import {
  assertObjectKey,
  assertObjectKeyPrefix,
  type ListedObject,
  type ObjectHead,
  type ObjectStore,
} from './object-store.ts'
import { platformErrors } from './platform-errors.ts'

// `@` is not allowed in a key, so that the file of `a` and the folder of `a/b` never meet, and no key leads
// into the folder of unfinished files.
const fileSuffix = '@'
const temporaryFolder = '@tmp'
const folderAttempts = 100
const temporaryMaxAgeMs = 3_600_000

/** The first line of a file, before the object's bytes: attributes and bytes appear together, in one rename. */
const fileHeader = z.object({
  etag: z.string(),
  contentType: z.string(),
  contentEncoding: z.string().optional(),
  cacheControl: z.string().optional(),
})
const headerMaxBytes = 4096

/**
 * Objects as files below one folder, each with its attributes in a first line of JSON.
 *
 * A file is written beside the others, flushed and renamed into place: a reader sees the old object or the new
 * one, also after kill -9; after a power cut the last objects may be missing, never torn.
 */
export function createFolderStore(path: string): ObjectStore {
  const fileOf = (key: string) => {
    assertObjectKey(key)
    return join(path, `${key}${fileSuffix}`)
  }

  return {
    async head(key) {
      const file = fileOf(key)
      return reading(key, async () => {
        await using handle = await open(file)
        const start = Buffer.alloc(headerMaxBytes)
        const { bytesRead } = await handle.read(start, 0, headerMaxBytes, 0)
        return parseHead(start.subarray(0, bytesRead), await handle.stat()).head
      })
    },

    async get(key) {
      const file = fileOf(key)
      return reading(key, async () => {
        await using handle = await open(file)
        const content = await handle.readFile()
        const { head, bodyOffset } = parseHead(content, await handle.stat())
        return { ...head, body: content.subarray(bodyOffset) }
      })
    },

    async put(key, body, attributes, { onlyIfAbsent = false } = {}) {
      const file = fileOf(key)
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
      const header = Buffer.from(`${JSON.stringify({ ...fileHeader.parse({ ...attributes, etag }) })}\n`)
      if (header.length > headerMaxBytes) throw new RangeError('the attributes of an object are too long')
      return writing(key, async () => {
        const temporary = join(path, temporaryFolder, randomUUID())
        await mkdir(dirname(temporary), { recursive: true })
        try {
          await writeFlushed(temporary, header, body)
          return await intoFolder(dirname(file), async () => {
            if (onlyIfAbsent) return linkIfAbsent(temporary, file)
            await rename(temporary, file)
            return true
          })
        } finally {
          await rm(temporary, { force: true })
        }
      })
    },

    async delete(key) {
      const file = fileOf(key)
      await writing(key, async () => {
        await rm(file, { force: true })
        await removeEmptyFolders(path, dirname(file))
      })
    },

    async *list(prefix) {
      assertObjectKeyPrefix(prefix)
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
      yield* objectsBelow(path, folder, prefix)
    },

    expireAfter: async () => false,

    async check() {
      await writing('the folder', async () => {
        await mkdir(join(path, temporaryFolder), { recursive: true })
        await sweepTemporaryFiles(join(path, temporaryFolder))
      })
    },
  }
}

function parseHead(start: Buffer, stats: Stats): { head: ObjectHead; bodyOffset: number } {
  const bodyOffset = start.indexOf('\n') + 1
  const header = fileHeader.parse(JSON.parse(start.toString('utf8', 0, bodyOffset)))
  return { head: { ...header, size: stats.size - bodyOffset, modifiedAt: stats.mtime }, bodyOffset }
}

async function writeFlushed(file: string, header: Buffer, body: Uint8Array): Promise<void> {
  // Opening fails when the file is there already.
  await using handle: FileHandle = await open(file, 'wx')
  await handle.writev([header, body])
  await handle.sync()
}

/** Puts something into a folder, which is made again when a delete beside it finds it empty and takes it away. */
async function intoFolder<T>(folder: string, put: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mkdir(folder, { recursive: true })
      return await put()
    } catch (error) {
      // ENOTDIR: what mkdir says of a parent that went while it was at it (libuv).
      const isGone = hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')
      if (!isGone || attempt === folderAttempts) throw error
    }
  }
}

/** From `folder` up to `root`, which stays. A folder that holds anything refuses (rmdir(2)). */
async function removeEmptyFolders(root: string, folder: string): Promise<void> {
  for (let empty = folder; relative(root, empty) !== ''; empty = dirname(empty)) {
    try {
      await rmdir(empty)
    } catch (error) {
      if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST')) return
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
}

/** Unlike a rename, a link never replaces what is there (link(2)); its loser gets EEXIST. */
async function linkIfAbsent(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Depth first in the byte order of the whole keys, as S3 lists them: `a`, `a-b`, `a/b`. */
async function* objectsBelow(root: string, folder: string, prefix: string): AsyncGenerator<ListedObject> {
  const entries = (await foldersEntries(join(root, folder)))
    .map((entry) => ({ isFolder: entry.isDirectory(), key: folder + keyPart(entry) }))
    .filter((entry) => !entry.key.includes(fileSuffix) && entry.key.startsWith(prefix))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  for (const entry of entries) {
    if (entry.isFolder) {
      yield* objectsBelow(root, entry.key, prefix)
      continue
    }
    const stats = await reading(entry.key, () => stat(join(root, `${entry.key}${fileSuffix}`)))
    // One that was deleted since the folder was read is not listed.
    if (stats) yield { key: entry.key, modifiedAt: stats.mtime }
  }
}

function keyPart(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name.slice(0, -fileSuffix.length)
}

async function foldersEntries(folder: string): Promise<Dirent[]> {
  return (await reading(folder, () => readdir(folder, { withFileTypes: true }))) ?? []
}

/** What killed writers left behind. The bound in age spares the files that another process is writing now. */
async function sweepTemporaryFiles(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = join(folder, name)
    const age = Date.now() - ((await reading(file, () => stat(file)))?.mtimeMs ?? 0)
    if (age > temporaryMaxAgeMs) await rm(file, { force: true })
  }
}

/** Undefined where there is nothing to read. */
async function reading<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw platformErrors.objectStoreUnavailable(`${what} could not be read from the folder`, { cause: error })
  }
}

async function writing<T>(what: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    throw platformErrors.objectStoreUnavailable(`${what} could not be written to the folder`, {
      cause: error,
    })
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
