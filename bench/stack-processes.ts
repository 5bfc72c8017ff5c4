import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const stack = fileURLToPath(new URL('../deploy/native/stack.ts', import.meta.url))

/** Pids of the native stack's servers that run, by the part's name. */
export async function stackPids(): Promise<Map<string, number>> {
  const { stdout } = await promisify(execFile)(process.execPath, [stack, 'status'])
  const lines = [...stdout.matchAll(/^(\S+)\s+up, pid (\d+)/gm)]
  return new Map(lines.map(([, name, pid]) => [name!, Number(pid)]))
}
