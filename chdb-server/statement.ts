import type { Readable } from 'node:stream'

/** One statement as a request brings it. */
export type Statement = {
  sql: Buffer
  /** Data behind an INSERT … FORMAT, or more of the SQL text. */
  body: Readable | undefined
  database: string | undefined
  /** Values of `{name:Type}` in the statement, in ClickHouse's escaped text form. */
  parameters: ReadonlyMap<string, Buffer>
  settings: ReadonlyMap<string, Buffer>
  /** The result's format where the statement names none. */
  defaultFormat: string
  /** Statements of one session share temporary tables and SET, and never run at the same time. */
  session: { id: string; timeoutMs: number } | undefined
  /** Refuses whatever writes, as ClickHouse does for every method but POST. */
  isReadOnly: boolean
  /** Hold the result back until the statement has ended, so that every error is an HTTP status. */
  waitsForEnd: boolean
  /** Aborted when the client goes away: the statement is then stopped. */
  signal: AbortSignal
}

/** What ClickHouse's X-ClickHouse-Summary tells. */
export type StatementSummary = {
  readRows: number
  readBytes: number
  writtenRows: number
  writtenBytes: number
  elapsedNs: number
}

/** A statement's result. It must be disposed of: until then a streamed one holds a connection and a slot. */
export type StatementResult = AsyncDisposable & {
  format: string
  /** The whole result, or its start where there is a `rest`. */
  head: Buffer
  /** The rest as it comes. Iterating it throws the statement's error. */
  rest: AsyncIterable<Buffer> | undefined
  /** Known only where the statement has ended. */
  summary: StatementSummary | undefined
}

type EngineCounts = {
  elapsed: number
  rowsRead?: number
  bytesRead?: number
  rowsWritten?: number
  bytesWritten?: number
}

/** The summary from what libchdb counts; of an INSERT that is only what it wrote, which it also read. */
export function statementSummary(counts: EngineCounts): StatementSummary {
  const {
    elapsed,
    rowsWritten = 0,
    bytesWritten = 0,
    rowsRead = rowsWritten,
    bytesRead = bytesWritten,
  } = counts
  return {
    readRows: rowsRead,
    readBytes: bytesRead,
    writtenRows: rowsWritten,
    writtenBytes: bytesWritten,
    elapsedNs: Math.round(elapsed * 1e9),
  }
}
