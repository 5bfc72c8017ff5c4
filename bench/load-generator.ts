import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { z } from 'zod'

export type LoadResult = { requests: number; requestsPerSecond: number; p50Ms: number; p99Ms: number }

const report = z.object({
  requests: z.int(),
  errors: z.int(),
  seconds: z.number(),
  p50: z.number(),
  p99: z.number(),
})

/** Prints what wrk counted as JSON; wrk's own text rounds. */
const script = new URL('load-generator.lua', import.meta.url).pathname

/**
 * Asks for one address over and over with wrk, one thread and some connections, each asking anew when it is answered.
 * @throws when an answer was no success
 */
export async function generateLoad(options: {
  url: string
  seconds: number
  connections: number
  headers?: Record<string, string>
}): Promise<LoadResult> {
  const { url, seconds, connections, headers = {} } = options
  const sent = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  const args = ['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`]
  const { stdout } = await promisify(execFile)('wrk', [...args, '--script', script, ...sent, url])
  const found = report.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''))
  if (found.errors > 0)
    throw new Error(`${found.errors} of ${found.requests} requests failed at ${new URL(url).pathname}.`)
  return {
    requests: found.requests,
    requestsPerSecond: found.requests / found.seconds,
    p50Ms: found.p50,
    p99Ms: found.p99,
  }
}
