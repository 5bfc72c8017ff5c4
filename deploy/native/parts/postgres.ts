import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPostgresBinaries, findPostgresUser } from '@tendon/sources/postgres-binaries.ts'
import { openCluster } from '@tendon/sources/postgres-cluster.ts'
import pg from 'pg'
import { deployFile, type Part, portOf, runFolder } from '../part.ts'

function postgres(name: 'crm' | 'telemetry', port: number): Part {
  const folder = join(runFolder, name)
  const urlOf = (database: string) => {
    const password = readFileSync(join(folder, 'password'), 'utf8').trim()
    return `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`
  }
  return {
    name,
    port,
    async prepare() {
      mkdirSync(folder, { recursive: true, mode: 0o755 })
      const binaries = await findPostgresBinaries()
      const { clusterPath, user } = await openCluster(binaries, folder)
      const ids = user ?? (await findPostgresUser(binaries, folder))
      const prefix = ids?.prefix ?? []
      const command = [
        ...prefix,
        binaries.postgres,
        '-D',
        clusterPath,
        '-c',
        `config_file=${deployFile(`postgres/${name}.conf`)}`,
        ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-p', String(port)],
      ]
      return {
        program: command[0]!,
        args: command.slice(1),
        cwd: clusterPath,
        ...(ids && prefix.length === 0 ? { uid: ids.uid, gid: ids.gid } : {}),
        env: { TZ: 'UTC', LC_ALL: 'C' },
      }
    },
    // The backends of a killed postmaster hold its shared memory for a moment.
    lingersMs: 20_000,
    ready: () => canQuery(urlOf('postgres')),
    initialize: () => createDatabase(name, urlOf),
    exports: () => ({ [`${name.toUpperCase()}_DATABASE_URL`]: urlOf(name) }),
  }
}

async function connected<Result>(url: string, act: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return await act(client)
  } finally {
    await client.end()
  }
}

async function canQuery(url: string): Promise<boolean> {
  return connected(url, (client) => client.query('SELECT 1')).then(
    () => true,
    () => false,
  )
}

/** As the image's entrypoint does: the database, and once the SQL of its roles, where there are any. */
async function createDatabase(name: string, urlOf: (database: string) => string): Promise<void> {
  await connected(urlOf('postgres'), async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${name}`)
  })
  const rolesFile = deployFile(`postgres/${name}.sql`)
  if (!existsSync(rolesFile)) return
  await connected(urlOf(name), async (client) => {
    const { rows } = await client.query(
      `SELECT shobj_description(oid, 'pg_database') IS NOT NULL AS has_roles FROM pg_database WHERE datname = $1`,
      [name],
    )
    if (rows[0].has_roles) return
    // In one transaction.
    await client.query(
      `${readFileSync(rolesFile, 'utf8')}; COMMENT ON DATABASE ${name} IS 'It has its roles.'`,
    )
  })
}

export const crm = postgres('crm', portOf(15_432))
export const telemetry = postgres('telemetry', portOf(15_433))
