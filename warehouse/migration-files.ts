import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { warehouseErrors } from './errors.ts'

export type Migration = {
  number: number
  /** File name without its ending: `001-change-log`. */
  name: string
  /** SHA-256 of the text but for its comments, to notice a change of what was applied already. */
  checksum: string
  statements: string[]
}

/**
 * The migrations in their order.
 * @throws TENDON-WAREHOUSE-006 when two have the same number: the ledger could not tell which was applied
 */
export async function readMigrations(folder = new URL('migrations/', import.meta.url)): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => /^\d{3}-.+\.sql$/.test(file)).sort()
  const migrations = await Promise.all(files.map((file) => readMigration(new URL(file, folder))))
  for (const [i, { number, name }] of migrations.entries()) {
    const before = migrations[i - 1]
    if (before?.number === number) throw warehouseErrors.migrationNumberTaken(`${before.name} and ${name}.`)
  }
  return migrations
}

async function readMigration(file: URL): Promise<Migration> {
  const name = basename(fileURLToPath(file), '.sql')
  const text = (await readFile(file, 'utf8')).replaceAll(/^--.*\n/gm, '')
  return {
    number: Number(name.slice(0, 3)),
    name,
    checksum: createHash('sha256').update(text).digest('hex'),
    statements: splitStatements(text),
  }
}

/** A statement ends with a semicolon at the end of a line, which no comment and no literal of ours does. */
function splitStatements(text: string): string[] {
  return text
    .split(/;[ \t]*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
