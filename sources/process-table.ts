import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export type RunningProcess = { parentPid: number; command: string }

/**
 * What runs under a process id: its parent now (an orphan's parent changes) and its command line,
 * arguments separated by spaces. Undefined when nothing does, or only a zombie.
 */
export async function describeProcess(pid: number): Promise<RunningProcess | undefined> {
  try {
    return process.platform === 'linux' ? await readProc(pid) : await askPs(pid)
  } catch {
    return undefined
  }
}

/** Linux has /proc everywhere, while slim container images come without `ps`. */
async function readProc(pid: number): Promise<RunningProcess | undefined> {
  const [status, commandLine] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readFile(`/proc/${pid}/cmdline`, 'utf8'),
  ])
  if (commandLine === '') return undefined
  const parentPid = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1])
  return { parentPid, command: commandLine.split('\0').join(' ') }
}

async function askPs(pid: number): Promise<RunningProcess | undefined> {
  const { stdout } = await execute('ps', ['-ww', '-o', 'ppid=,args=', '-p', String(pid)])
  const [, parentPid, command] = /^\s*(\d+)\s+(.*)$/m.exec(stdout) ?? []
  return command === undefined ? undefined : { parentPid: Number(parentPid), command: `${command} ` }
}
