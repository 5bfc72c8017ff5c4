import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { sourcesErrors } from './errors.ts'
import { describeProcess, type RunningProcess } from './process-table.ts'

/** A setting without meaning to PostgreSQL: its command line tells who started it. */
export const startedBySetting = 'tendon.started_by'

const fastShutdownMs = 5_000
const killMs = 2_000

/**
 * Stops the postmaster that a killed process left running on this cluster, if there is one. A postmaster whose
 * starter still lives is no orphan.
 * @returns the process id of the one it stopped
 * @throws sourcesErrors.folderInUse when the postmaster belongs to a living process
 */
export async function stopOrphanedPostmaster(clusterPath: string): Promise<number | undefined> {
  const pid = await readPostmasterPid(clusterPath)
  if (pid === undefined) return undefined
  const found = await describeProcess(pid)
  // PostgreSQL replaces a postmaster.pid whose process is gone, and checks that no backend is left of it.
  if (found === undefined) return undefined
  if (!isPostmaster(found, clusterPath)) {
    // It would refuse to start if another process has that number now, as after a restart of the machine.
    await rm(join(clusterPath, 'postmaster.pid'))
    return undefined
  }
  const startedBy = Number(new RegExp(`${startedBySetting}=(\\d+) `).exec(found.command)?.[1])
  if (startedBy === found.parentPid) {
    throw sourcesErrors.folderInUse(
      `The database in ${clusterPath} belongs to the running process ${startedBy}`,
    )
  }
  process.kill(pid, 'SIGINT')
  if (await hasEnded(pid, clusterPath, fastShutdownMs)) return pid
  process.kill(pid, 'SIGKILL')
  await hasEnded(pid, clusterPath, killMs)
  return pid
}

/** The first line of postmaster.pid (PostgreSQL's `src/include/utils/pidfile.h`). */
async function readPostmasterPid(clusterPath: string): Promise<number | undefined> {
  const lines = await readFile(join(clusterPath, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(lines, 10)
  return pid > 0 ? pid : undefined
}

function isPostmaster({ command }: RunningProcess, clusterPath: string): boolean {
  return command.includes(`postgres -D ${clusterPath} `)
}

async function hasEnded(pid: number, clusterPath: string, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (performance.now() < deadline) {
    const found = await describeProcess(pid)
    if (found === undefined || !isPostmaster(found, clusterPath)) return true
    await delay(20)
  }
  return false
}
