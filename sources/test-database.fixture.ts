import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'

export type TestPostgres = EmbeddedPostgres & {
  /** Creates an empty database with a name of its own and returns its address. */
  freshDatabase(): Promise<string>
  /** Stops the server and removes its folder. */
  remove(): Promise<void>
}

/**
 * A PostgreSQL server for one test file, in a temporary folder.
 * @param settings as in postgresql.conf. fsync is off unless told: no test outlives its machine
 */
export async function startTestPostgres(settings: Record<string, string> = {}): Promise<TestPostgres> {
  const dataPath = await mkdtemp(join(tmpdir(), 'tendon-postgres-'))
  const server = await startEmbeddedPostgres({ dataPath, settings: { fsync: 'off', ...settings } })
  return {
    ...server,
    async freshDatabase() {
      const name = `test_${randomUUID().replaceAll('-', '')}`
      await server.createDatabase(name)
      return server.url(name)
    },
    async remove() {
      await server.stop()
      await rm(dataPath, { recursive: true, force: true })
    },
  }
}
