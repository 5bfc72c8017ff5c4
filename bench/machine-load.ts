import { cpus, loadavg, release, totalmem } from 'node:os'
import { machineCpuSeconds, treeCpuSeconds } from './processes.ts'
import { type Load, type Machine, rounded } from './results.ts'
import { stackPids } from './stack-processes.ts'

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
  }
}

/** Of this process and what it started, and of the native stack's servers, which run before it. */
async function casesCpuSeconds(stack: readonly number[]): Promise<number> {
  const each = await Promise.all([process.pid, ...stack].map(treeCpuSeconds))
  return each.reduce((sum, seconds) => sum + seconds, 0)
}

/** Watches how busy the machine is, and how much of that is nothing of the case's. */
export async function watchLoad(): Promise<{ stop(): Promise<Load> }> {
  const loadAverage = () => Math.round(loadavg()[0]! * 100) / 100
  const before = loadAverage()
  let max = before
  const timer = setInterval(() => {
    max = Math.max(max, loadAverage())
  }, 1_000)
  const stack = [...(await stackPids()).values()]
  const startedAt = performance.now()
  const busyBefore = machineCpuSeconds()
  const ownBefore = await casesCpuSeconds(stack)
  return {
    async stop() {
      clearInterval(timer)
      const own = (await casesCpuSeconds(stack)) - ownBefore
      const others = machineCpuSeconds() - busyBefore - own
      return {
        load_average_before: before,
        load_average_max: max,
        cores_used_by_others: rounded(Math.max(0, (others * 1000) / (performance.now() - startedAt))),
      }
    },
  }
}
