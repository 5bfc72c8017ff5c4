import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A file of the spool. Whoever was given it removes it. */
export type SpooledFile = { path: string; remove(): Promise<void> }

/**
 * The folder for the data of inserts that are being received.
 *
 * Data never travels inside SQL text: libchdb ends inline data at the first blank line and runs the rest as SQL.
 * Receiving all of it first also means that a client which breaks off inserts nothing.
 */
export class Spool {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Makes the folder, empty; a process that was killed may have left files in it. */
  static async create(folder: string): Promise<Spool> {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return new Spool(folder)
  }

  /** Writes the data to a file of its own. */
  async write(data: Readable): Promise<SpooledFile> {
    const path = join(this.folder, randomUUID())
    const remove = () => rm(path, { force: true })
    try {
      await pipeline(data, createWriteStream(path))
    } catch (error) {
      await remove()
      throw error
    }
    return { path, remove }
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
