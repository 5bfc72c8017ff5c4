/**
 * The real servers on loopback: `npm run stack -- up | down | status | env [part…]`.
 *
 * Each part is installed when it is missing (Debian, Maven, Go; cached outside the checkout), started detached with
 * its files under the run folder, and waited for before those that need it. `up` and `down` with names act on these
 * parts alone (`up` on what they need too). Exit codes: 0 done, 1 a part failed, 64 usage.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { say } from './install.ts'
import { type Part, runFolder } from './part.ts'
import { cdn } from './parts/cdn.ts'
import { clickhouse } from './parts/clickhouse.ts'
import { connect } from './parts/connect.ts'
import { kafka } from './parts/kafka.ts'
import { keycloak } from './parts/keycloak.ts'
import { minio } from './parts/minio.ts'
import { openldap } from './parts/openldap.ts'
import { crm, telemetry } from './parts/postgres.ts'
import { redis } from './parts/redis.ts'
import { runningPid, start, stop } from './processes.ts'

/** In the order in which they start. */
const parts: Part[] = [crm, telemetry, clickhouse, redis, minio, cdn, kafka, connect, openldap, keycloak]

const usage = `Usage: npm run stack -- up | down | status | env [part…]
Parts: ${parts.map(({ name }) => name).join(', ')}

down without a part also deletes what the servers hold.

TENDON_STACK_DIR          where they hold it [${runFolder}]
TENDON_STACK_PORT_OFFSET  is added to every port, so that several stacks can run [0]
TENDON_STACK_WEB_ORIGIN   where browsers reach Tendon, for Keycloak and the CDN [http://localhost:8080]
`

function withNeeds(names: readonly string[]): Set<string> {
  const wanted = new Set<string>()
  const want = (name: string): void => {
    wanted.add(name)
    for (const needed of parts.find((part) => part.name === name)?.needs ?? []) want(needed)
  }
  for (const name of names) want(name)
  return wanted
}

async function up(names: string[]): Promise<void> {
  mkdirSync(runFolder, { recursive: true, mode: 0o755 })
  const wanted = names.length > 0 ? withNeeds(names) : new Set(parts.map(({ name }) => name))
  for (const part of parts) if (wanted.has(part.name)) await start(part)
}

async function down(names: string[]): Promise<void> {
  const isAll = names.length === 0
  for (const part of parts.toReversed()) if (isAll || names.includes(part.name)) await stop(part)
  if (isAll) rmSync(runFolder, { recursive: true, force: true })
}

function status(): void {
  for (const part of parts) {
    const pid = runningPid(part)
    say(`${part.name.padEnd(10)} ${pid === undefined ? 'down' : `up, pid ${pid}, 127.0.0.1:${part.port}`}`)
  }
}

/** `export` lines for a shell, of the parts that run: `eval "$(npm run -s stack -- env)"`. */
function env(names: string[]): void {
  const shown = parts.filter((part) =>
    names.length > 0 ? names.includes(part.name) : runningPid(part) !== undefined,
  )
  for (const [name, value] of shown.flatMap((part) => Object.entries(part.exports())))
    say(`export ${name}='${value}'`)
}

const commands: Record<string, (names: string[]) => Promise<void> | void> = { up, down, status, env }
const [name = '', ...names] = process.argv.slice(2)
const command = commands[name]
const unknown = names.filter((wanted) => !parts.some((part) => part.name === wanted))
if (!command || unknown.length > 0) {
  const complaint = unknown.length > 0 ? `There is no part ${unknown.join(', ')}.\n` : ''
  process.stdout.write(complaint + usage)
  process.exit(name === '--help' ? 0 : 64)
}
try {
  await command(names)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exit(1)
}
