import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import { httpStatusOf, toClickHouseException } from './clickhouse-exception.ts'
import type { StatementResult, StatementSummary } from './statement.ts'

/** Answers an error: status, code, and ClickHouse's text, from which clients make their own error. */
export function writeException(response: ServerResponse, error: unknown): void {
  const exception = toClickHouseException(error)
  response.writeHead(httpStatusOf(exception), {
    'Content-Type': 'text/plain; charset=UTF-8',
    'X-ClickHouse-Exception-Code': String(exception.code),
  })
  response.end(`${exception.message}\n`)
}

/** Answers a result, compressed if the client takes it. */
export async function writeResult(
  response: ServerResponse,
  result: StatementResult,
  contentEncoding: 'gzip' | 'zstd' | undefined,
): Promise<void> {
  const exceptionTag = randomBytes(8).toString('hex')
  response.setHeader('Content-Type', contentType(result.format))
  response.setHeader('X-ClickHouse-Format', result.format)
  response.setHeader('X-ClickHouse-Exception-Tag', exceptionTag)
  if (result.summary) response.setHeader('X-ClickHouse-Summary', summaryHeader(result.summary))
  if (contentEncoding) response.setHeader('Content-Encoding', contentEncoding)
  else if (!result.rest) response.setHeader('Content-Length', result.head.length)

  const body = Readable.from(resultBytes(result, exceptionTag), { objectMode: false })
  if (contentEncoding === 'gzip') await pipeline(body, createGzip({ level: 1 }), response)
  else if (contentEncoding === 'zstd') await pipeline(body, createZstdCompress(), response)
  else await pipeline(body, response)
}

/**
 * The result's bytes. An error after the first of them travels in-band, as ClickHouse does since 25.11: the client
 * knows the block by the tag in the header, which no data can contain by chance.
 */
async function* resultBytes(result: StatementResult, exceptionTag: string): AsyncGenerator<Buffer> {
  if (result.head.length > 0) yield result.head
  if (!result.rest) return
  try {
    yield* result.rest
  } catch (error) {
    const message = Buffer.from(`${toClickHouseException(error).message}\n`)
    yield Buffer.concat([
      Buffer.from(`\r\n__exception__\r\n${exceptionTag}\r\n`),
      message,
      Buffer.from(`${message.length} ${exceptionTag}\r\n__exception__\r\n`),
    ])
  }
}

function contentType(format: string): string {
  if (format.startsWith('JSON')) return 'application/json; charset=UTF-8'
  if (/^(TSV|TabSeparated)/.test(format)) return 'text/tab-separated-values; charset=UTF-8'
  if (format.startsWith('CSV')) return 'text/csv; charset=UTF-8'
  return 'application/octet-stream'
}

/** Numbers are strings here, because 64 bits do not fit into a JSON number. */
function summaryHeader(summary: StatementSummary): string {
  return JSON.stringify({
    read_rows: String(summary.readRows),
    read_bytes: String(summary.readBytes),
    written_rows: String(summary.writtenRows),
    written_bytes: String(summary.writtenBytes),
    total_rows_to_read: '0',
    result_rows: String(summary.readRows),
    result_bytes: String(summary.readBytes),
    elapsed_ns: String(summary.elapsedNs),
  })
}
