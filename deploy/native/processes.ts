import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { say } from './install.ts'
import { logFile, type Part, runFolder, startTimeoutMs, webOrigin } from './part.ts'

const defaultStartTimeoutMs = 60_000
const stopTimeoutMs = 10_000
/** How often it is said that a part is still starting. */
const sayAfterMs = 20_000

/**
 * The pid of a part that was started from here, and when: pids are used again. Up is what serves and has all that it begins with:
 * whoever started it may have been ended before.
 */
type Started = { pid: number; startTicks: string | undefined; webOrigin: string; isUp: boolean }

const pidFile = (part: Part) => join(runFolder, `${part.name}.pid`)

/** Field 22 of /proc/pid/stat (proc(5)); undefined for a process that has ended, a zombie included. */
function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

export function running(part: Part): Started | undefined {
  if (!existsSync(pidFile(part))) return undefined
  const started: Started = JSON.parse(readFileSync(pidFile(part), 'utf8'))
  return startTicksOf(started.pid) === started.startTicks ? started : undefined
}

const write = (part: Part, started: Started) => writeFileSync(pidFile(part), JSON.stringify(started))

export const runningPid = (part: Part): number | undefined => running(part)?.pid

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

export async function start(part: Part): Promise<void> {
  const already = running(part)
  if (already && part.usesWebOrigin && already.webOrigin !== webOrigin) {
    say(`${part.name} was started for ${already.webOrigin}: it is started anew for ${webOrigin}`)
    await stop(part)
    return start(part)
  }
  if (already?.isUp) return say(`${part.name} is up already, on 127.0.0.1:${part.port}`)
  const startedAt = performance.now()
  if (!already) await spawnPart(part)
  const retryUntil = startedAt + (part.lingersMs ?? 0)
  while (!(await becomesReady(part))) {
    if (performance.now() > retryUntil)
      throw new Error(`${part.name} did not start: see ${logFile(part.name)}`)
    await delay(200)
    await spawnPart(part)
  }
  await part.initialize?.()
  write(part, { ...running(part)!, isUp: true })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  say(`${part.name} is up on 127.0.0.1:${part.port} after ${seconds} s`)
}

async function spawnPart(part: Part): Promise<void> {
  if (await accepts(part.port)) {
    const advice = 'TENDON_STACK_PORT_OFFSET moves all ports of the stack'
    throw new Error(`port ${part.port} of ${part.name} is taken by another program: ${advice}`)
  }
  const { program, args, env, ...where } = await part.prepare()
  const log = openSync(logFile(part.name), 'a')
  const child = spawn(program, args, {
    ...where,
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  })
  closeSync(log)
  child.unref()
  if (child.pid === undefined) throw new Error(`${part.name} cannot be started: there is no ${program}`)
  write(part, { pid: child.pid, startTicks: startTicksOf(child.pid), webOrigin, isUp: false })
}

/** @returns false when it has ended instead */
async function becomesReady(part: Part): Promise<boolean> {
  const startedAt = Date.now()
  const timeoutMs = startTimeoutMs ?? part.startTimeoutMs ?? defaultStartTimeoutMs
  let sayAt = startedAt + sayAfterMs
  const isReady = part.ready ?? (() => accepts(part.port))
  while (!(await isReady())) {
    if (runningPid(part) === undefined) return false
    const waitedMs = Date.now() - startedAt
    if (waitedMs > timeoutMs) throw new Error(notReady(part, timeoutMs))
    if (Date.now() > sayAt) {
      sayAt += sayAfterMs
      say(
        `${part.name} is still starting, after ${Math.round(waitedMs / 1_000)} of at most ${timeoutMs / 1_000} s`,
      )
    }
    await delay(50)
  }
  return true
}

const notReady = ({ name }: Part, timeoutMs: number) =>
  `${name} is not ready after ${timeoutMs / 1_000} s. What it is doing stands in ${logFile(name)}.
If it goes on there, the same command waits for it again; TENDON_STACK_START_TIMEOUT_S=600 in front of it waits longer.`

export async function stop(part: Part): Promise<void> {
  const pid = runningPid(part)
  if (pid === undefined) return
  process.kill(pid, 'SIGTERM')
  const deadline = Date.now() + stopTimeoutMs
  while (runningPid(part) !== undefined) {
    if (Date.now() > deadline) process.kill(pid, 'SIGKILL')
    await delay(50)
  }
  say(`${part.name} is down`)
}
