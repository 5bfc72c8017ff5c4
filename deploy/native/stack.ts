/**
 * The real servers on loopback: `npm run stack -- up | down | status | env [part…]`.
 *
 * Each part is installed when it is missing (Debian, Maven, Go; cached outside the checkout), started detached with
 * its files under the run folder, and waited for before those that need it. `up` and `down` with names act on these
 * parts alone (`up` on what they need too). Exit codes: 0 done, 1 a part failed, 64 usage.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { say } from './install.ts'
import { isPortOffset, isStartTimeout, maxPortOffset, type Part, runFolder } from './part.ts'
import { cdn } from './parts/cdn.ts'
import { clickhouse } from './parts/clickhouse.ts'
import { connect } from './parts/connect.ts'
import { kafka } from './parts/kafka.ts'
import { keycloak } from './parts/keycloak.ts'
import { minio } from './parts/minio.ts'
import { openldap } from './parts/openldap.ts'
import { crm, telemetry } from './parts/postgres.ts'
import { redis } from './parts/redis.ts'
import { running, runningPid, start, stop } from './processes.ts'

/** In the order in which they start. */
const parts: Part[] = [crm, telemetry, clickhouse, redis, minio, cdn, kafka, connect, openldap, keycloak]

const usage = `Usage: npm run stack -- up | down | status | env [part…]
Parts: ${parts.map(({ name }) => name).join(', ')}

down without a part also deletes what the servers hold.

TENDON_STACK_DIR          where they hold it [${runFolder}]
TENDON_STACK_PORT_OFFSET  is added to every port, so that several stacks can run: 0 to ${maxPortOffset} [0]
TENDON_STACK_START_TIMEOUT_S
                          seconds to wait for each part, on a slow machine [60, Keycloak 180]
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
  try {
    for (const part of parts) if (wanted.has(part.name)) await start(part)
  } catch (error) {
    throw new Error(`${(error as Error).message}\nWhat was started before is up: npm run stack -- down`)
  }
}

async function down(names: string[]): Promise<void> {
  const isAll = names.length === 0
  for (const part of parts.toReversed()) if (isAll || names.includes(part.name)) await stop(part)
  if (isAll) rmSync(runFolder, { recursive: true, force: true })
}

function status(): void {
  for (const part of parts) {
    const state = running(part)
    const word = state?.isUp ? 'up' : 'starting'
    say(`${part.name.padEnd(10)} ${state ? `${word}, pid ${state.pid}, 127.0.0.1:${part.port}` : 'down'}`)
  }
}

/**
 * `export` lines for a shell, of the parts that run or are named: `eval "$(npm run -s stack -- env)"`. What a former call has set
 * in the shell, and this one does not, is unset.
 */
function env(names: string[]): void {
  const isShown = (part: Part) =>
    names.length > 0 ? names.includes(part.name) : runningPid(part) !== undefined
  const shown = Object.fromEntries(parts.filter(isShown).flatMap((part) => Object.entries(part.exports())))
  const former = process.env.TENDON_STACK_EXPORTS?.split(' ').filter(Boolean) ?? []
  for (const name of former) if (!(name in shown)) say(`unset ${name}`)
  const exports = { ...shown, TENDON_STACK_EXPORTS: Object.keys(shown).join(' ') }
  for (const [name, value] of Object.entries(exports)) say(`export ${name}='${value}'`)
  if (exports.TENDON_STACK_EXPORTS === '') throw new Error('No part is up: npm run stack -- up')
}

const commands: Record<string, (names: string[]) => Promise<void> | void> = { up, down, status, env }
const [name = '', ...names] = process.argv.slice(2)
const command = commands[name]
const unknown = names.filter((wanted) => !parts.some((part) => part.name === wanted))
const complaints = [
  ...(command || name === '' || name === '--help' ? [] : [`There is no command ${name}.`]),
  ...(unknown.length > 0 ? [`There is no part ${unknown.join(', ')}.`] : []),
  ...(isPortOffset ? [] : [`TENDON_STACK_PORT_OFFSET is not a whole number from 0 to ${maxPortOffset}.`]),
  ...(isStartTimeout ? [] : ['TENDON_STACK_START_TIMEOUT_S is not a number of seconds.']),
]
if (!command || complaints.length > 0) {
  process.stdout.write([...complaints, usage].join('\n'))
  process.exit(name === '--help' ? 0 : 64)
}
try {
  await command(names)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exit(1)
}
