import { readdir, readFile } from 'node:fs/promises'
import { cpus } from 'node:os'

/** A process as /proc shows it (proc(5)). */
export type RunningProcess = {
  pid: number
  parentPid: number
  /** Arguments separated by spaces. */
  command: string
  /** User and system time so far, that of ended and awaited children included. */
  cpuSeconds: number
}

/** USER_HZ, the unit of /proc's times: 100 on every architecture that Node runs on. */
const ticksPerSecond = 100

/** @returns undefined when the process has ended */
async function readProcess(pid: number): Promise<RunningProcess | undefined> {
  try {
    const [stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ])
    return { ...parseStat(stat), pid, command: commandLine.replaceAll('\0', ' ').trim() }
  } catch {
    return undefined
  }
}

/** The name in brackets may hold anything, brackets and spaces included; the fields begin after its last one. */
export function parseStat(stat: string): { parentPid: number; cpuSeconds: number } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return { parentPid: Number(fields[1]), cpuSeconds: ticks / ticksPerSecond }
}

/** A process and all its descendants, parents before their children. */
export async function processTree(rootPid: number): Promise<RunningProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const all = (await Promise.all(pids.map(readProcess))).filter((found) => found !== undefined)
  const childrenOf = Map.groupBy(all, (found) => found.parentPid)
  const withDescendants = (found: RunningProcess): RunningProcess[] => [
    found,
    ...(childrenOf.get(found.pid) ?? []).flatMap(withDescendants),
  ]
  return all.filter(({ pid }) => pid === rootPid).flatMap(withDescendants)
}

/** CPU time that a process and its descendants have used so far, in seconds. */
export async function treeCpuSeconds(rootPid: number): Promise<number> {
  return (await processTree(rootPid)).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
}

/** CPU time of this process alone, in seconds. */
export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** CPU time that everything on the machine has used since it was started, in seconds. */
export function machineCpuSeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000
}

/**
 * Proportional set size: a page shared by n processes counts as 1/n for each, so that the sum over processes is
 * what they take together, PostgreSQL's shared buffers counted once.
 * @returns bytes; 0 for a process that has ended
 */
export async function pssBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024
}

/**
 * Memory that a process and its children have for themselves: pages shared with others, as PostgreSQL's buffers, and
 * files are not in it.
 */
async function anonymousBytes(pid: number): Promise<number> {
  const pids = [pid, ...(await childrenOf(pid))]
  const texts = await Promise.all(pids.map((one) => readFile(`/proc/${one}/status`, 'utf8').catch(() => '')))
  return texts.reduce((sum, text) => sum + Number(/^RssAnon:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024, 0)
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

/** Looks four times a second at how much memory a server has for itself. */
export function watchMemory(pid: number): { stop(): number } {
  let mostBytes = 0
  const timer = setInterval(async () => {
    mostBytes = Math.max(mostBytes, await anonymousBytes(pid))
  }, 250)
  return {
    stop() {
      clearInterval(timer)
      return mostBytes
    },
  }
}
