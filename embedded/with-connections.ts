/**
 * `node embedded/with-connections.ts [--data <folder>] <script> <arguments>`: runs a script with the addresses of the
 * Tendon that is running on a data folder, or with those of the environment. Ends with the script's exit code.
 */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { type Connections, readConnections } from './connections-file.ts'
import { embeddedErrors } from './errors.ts'
import { isFolderHeld } from './folder-lock.ts'

/** Set where the parts are real servers: then there need not be a Tendon on this machine. */
const addresses = ['CRM_DATABASE_URL', 'TELEMETRY_DATABASE_URL', 'CLICKHOUSE_URL']

const { data, args } = takeDataOption(process.argv.slice(2))
const where = data ?? (process.env.TENDON_DATA || '.tendon')
const folder = resolve(where)
const { kept, unreadable } = await readKept()
const connections = kept && isFolderHeld(folder) ? kept : undefined
const needsNone = args.includes('--help') || addresses.some((name) => process.env[name])

// A running Tendon's come first: half of its addresses and half of others would make a pair of strangers.
if (connections || needsNone) run(args, { ...process.env, ...connections })
else await refuse()

/** Of a folder that another user may read alone, nobody can say whether a Tendon runs there. */
async function readKept(): Promise<{ kept?: Connections; unreadable?: string }> {
  try {
    return { kept: await readConnections(folder) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return code === 'ENOENT' ? {} : { unreadable: code }
  }
}

async function refuse(): Promise<void> {
  // What the commands load anyway, and a command that is run need not wait for.
  const { endWith } = await import('@tendon/platform/process-config.ts')
  endWith(embeddedErrors.noneRunning(reasonToRefuse()), { json: args.includes('--json') })
}

function reasonToRefuse(): string {
  if (unreadable)
    return `What a Tendon on ${where} has left there cannot be read (${unreadable}): run this as the user who has started it.`
  if (isFolderHeld(folder)) return `The Tendon on ${where} is still starting, or stopping.`
  return `No Tendon is running on ${where}.`
}

/** The script's own arguments may stand around it: npm puts those of `npm run cdc -- …` at the end. */
function takeDataOption(argv: string[]): { data: string | undefined; args: string[] } {
  const at = argv.findIndex((argument) => argument === '--data' || argument.startsWith('--data='))
  if (at === -1) return { data: undefined, args: argv }
  const isPair = argv[at] === '--data'
  const value = isPair ? argv[at + 1] : argv[at]?.slice('--data='.length)
  return { data: value, args: argv.toSpliced(at, isPair ? 2 : 1) }
}

function run(command: string[], env: NodeJS.ProcessEnv): void {
  const child = spawn(process.execPath, [...process.execArgv, ...command], { env, stdio: 'inherit' })
  // Ctrl-C reaches the script by itself, and how it ends is the script's to say.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.once('exit', (code) => {
    process.exitCode = code ?? 1
  })
}
