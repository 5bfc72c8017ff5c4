import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import type { Log } from '@tendon/platform/log.ts'

/** Addresses and secrets of running parts, by the environment variables of those who need them. */
export type Connections = Record<string, string>

const connectionsPath = (folder: string) => join(folder, 'connections.env')

/** Keeps them in the data folder for the commands that act on what is running; gone when it stops. */
export async function keepConnections(
  connections: Connections,
  parts: { folder: string; lifecycle: Lifecycle; log: Log },
): Promise<void> {
  const { folder, lifecycle, log } = parts
  const lines = Object.entries(connections).map(([name, value]) => {
    const line = envLine(name, value)
    if (line === undefined) log.warn({ variable: name }, 'cannot be written to connections.env: left out')
    return line ?? ''
  })
  await lifecycle.start('connections file', {
    start: () => writeFile(connectionsPath(folder), lines.join(''), { mode: 0o600 }),
    stop: () => rm(connectionsPath(folder), { force: true }),
  })
}

export async function readConnections(folder: string): Promise<Connections> {
  const variables = parseEnv(await readFile(connectionsPath(folder), 'utf8'))
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  )
}

/**
 * A line that Node's `--env-file` reads back exactly. That format has three quotes and no escapes, so a value with
 * all three in it has no line (https://nodejs.org/api/environment_variables.html#dotenv).
 */
export function envLine(name: string, value: string): string | undefined {
  return [`'`, '`', '"']
    .map((quote) => `${name}=${quote}${value}${quote}\n`)
    .find((line) => parseEnv(line)[name] === value)
}
