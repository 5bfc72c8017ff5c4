import { z } from 'zod'
import { TendonError } from './errors.ts'

const maxReasonLength = 300

/** The innermost of what went wrong, in a few words: `connect ECONNREFUSED 127.0.0.1:5432`. */
export function reasonOf(error: unknown): string {
  // A name with several addresses: they fail alike.
  if (error instanceof AggregateError) return reasonOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  if (error instanceof z.ZodError) return z.prettifyError(error).replaceAll(/\s*\n\s*/g, ' ')
  const { cause } = error
  if (isResponse(cause)) return `${cause.url} answers ${cause.status}${cause.ok ? `: ${error.message}` : ''}`
  return cause instanceof Error ? reasonOf(cause) : error.message.trim()
}

/**
 * What another program said that an error of ours comes of, in its first line: ClickHouse's words, PostgreSQL's. For operators
 * alone. Undefined where ours comes of nothing else.
 */
export function foreignReason(error: TendonError): string | undefined {
  let innermost: unknown = error
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause
  if (innermost instanceof TendonError) return undefined
  return reasonOf(error).split('\n')[0]!.slice(0, maxReasonLength)
}

/** By its looks: `@hono/node-server` puts a `Response` of its own in the place of the one that `fetch` makes. */
function isResponse(value: unknown): value is Response {
  return typeof value === 'object' && value !== null && 'status' in value && 'url' in value && 'ok' in value
}
