/**
 * The real servers on loopback: `npm run stack -- up | down | status | env`.
 *
 * Each part is installed when it is missing (Debian package or Go module, cached outside the checkout), started
 * detached with its files under the run folder, and waited for. Exit codes: 0 done, 1 a part failed, 64 usage.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const cache =
  process.env.TENDON_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tendon')
const run = process.env.TENDON_STACK_DIR ?? join(cache, 'stack')

type Part = {
  name: string
  port: number
  /** Makes the program available and answers its path. */
  install(): string
  args: string[]
  env?: Record<string, string>
  /** What a client of this part sets. */
  exports: Record<string, string>
}

/** For loopback only: these servers hold nothing but test data. */
const minioCredentials = { user: 'tendon', password: 'tendon-on-loopback' }

const parts: Part[] = [
  {
    name: 'redis',
    port: 16_379,
    install: () => debianProgram('redis-server', 'redis-server'),
    args: ['--bind', '127.0.0.1', '--port', '16379', '--save', '', '--appendonly', 'no', '--dir', run],
    exports: { REDIS_URL: 'redis://127.0.0.1:16379' },
  },
  {
    name: 'minio',
    port: 19_000,
    // The newest version the module proxy has; the upstream repository is archived.
    install: () => goProgram('minio', 'github.com/minio/minio', 'v0.0.0-20260212201848-7aac2a2c5b7c'),
    args: [
      'server',
      join(run, 'minio'),
      '--address',
      '127.0.0.1:19000',
      '--console-address',
      '127.0.0.1:19001',
    ],
    env: {
      MINIO_ROOT_USER: minioCredentials.user,
      MINIO_ROOT_PASSWORD: minioCredentials.password,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    },
    exports: {
      S3_ENDPOINT: 'http://127.0.0.1:19000',
      S3_ACCESS_KEY_ID: minioCredentials.user,
      S3_SECRET_ACCESS_KEY: minioCredentials.password,
    },
  },
]

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function onPath(program: string): string | undefined {
  const folders = [
    '/usr/bin',
    '/usr/sbin',
    '/usr/local/bin',
    '/bin',
    '/sbin',
    ...(process.env.PATH ?? '').split(':'),
  ]
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path))
}

function debianProgram(program: string, debianPackage: string): string {
  const installed = onPath(program)
  if (installed) return installed
  say(`installing ${debianPackage} from Debian`)
  // A policy of 101 keeps the package from starting a server of its own (invoke-rc.d).
  const policy = '/usr/sbin/policy-rc.d'
  const ownPolicy = !existsSync(policy)
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'] })
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  } finally {
    if (ownPolicy) rmSync(policy)
  }
  return onPath(program)!
}

function goProgram(program: string, module: string, version: string): string {
  const folder = join(cache, 'go', `${program}-${version}`)
  const path = join(folder, program)
  if (existsSync(path)) return path
  say(`building ${program} ${version} (some minutes, once)`)
  execFileSync('go', ['install', `${module}@${version}`], {
    stdio: 'inherit',
    env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' },
  })
  return path
}

function pidFile(part: Part): string {
  return join(run, `${part.name}.pid`)
}

/** The pid of a part that we started and that still runs its program. */
function runningPid(part: Part): number | undefined {
  if (!existsSync(pidFile(part))) return undefined
  const [pid, program] = readFileSync(pidFile(part), 'utf8').split('\n')
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return program && command.includes(program) ? Number(pid) : undefined
  } catch {
    return undefined
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function up(): Promise<void> {
  mkdirSync(run, { recursive: true })
  for (const part of parts) {
    if (runningPid(part)) continue
    if (await accepts(part.port))
      throw new Error(`port ${part.port} of ${part.name} is taken by another program`)
    const program = part.install()
    const logFile = openSync(join(run, `${part.name}.log`), 'a')
    const child = spawn(program, part.args, {
      detached: true,
      stdio: ['ignore', logFile, logFile],
      env: { ...process.env, ...part.env },
    })
    child.unref()
    writeFileSync(pidFile(part), `${child.pid}\n${part.name}\n`)
    await untilReady(part)
    say(`${part.name} is up on 127.0.0.1:${part.port}`)
  }
}

async function untilReady(part: Part): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await accepts(part.port))) {
    if (!runningPid(part) || Date.now() > deadline) {
      throw new Error(`${part.name} did not start: see ${join(run, `${part.name}.log`)}`)
    }
    await delay(50)
  }
}

async function down(): Promise<void> {
  for (const part of parts.toReversed()) {
    const pid = runningPid(part)
    if (pid === undefined) continue
    process.kill(pid, 'SIGTERM')
    const deadline = Date.now() + 10_000
    while (runningPid(part) !== undefined) {
      if (Date.now() > deadline) process.kill(pid, 'SIGKILL')
      await delay(50)
    }
    say(`${part.name} is down`)
  }
  rmSync(run, { recursive: true, force: true })
}

function status(): void {
  for (const part of parts) {
    const pid = runningPid(part)
    say(`${part.name.padEnd(8)} ${pid === undefined ? 'down' : `up, pid ${pid}, 127.0.0.1:${part.port}`}`)
  }
}

/** `export` lines for a shell: `eval "$(npm run -s stack -- env)"`. */
function env(): void {
  for (const [name, value] of parts.flatMap((part) => Object.entries(part.exports)))
    say(`export ${name}=${value}`)
}

const commands: Record<string, () => Promise<void> | void> = { up, down, status, env }
const command = commands[process.argv[2] ?? '']
if (!command) {
  say('Usage: npm run stack -- up | down | status | env')
  process.exit(process.argv[2] === '--help' ? 0 : 64)
}
try {
  await command()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exit(1)
}
