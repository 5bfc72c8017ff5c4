import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { clickHouseException } from './clickhouse-exception.ts'
import type { Statement } from './statement.ts'

/**
 * URL parameters that are the HTTP interface's own; every other one is a setting of the statement.
 * Those that ask for progress headers or buffer sizes are accepted and have no effect.
 */
const INTERFACE_PARAMETERS = new Set([
  'query',
  'query_id',
  'database',
  'user',
  'password',
  'session_id',
  'session_timeout',
  'session_check',
  'default_format',
  'role',
  'compress',
  'decompress',
  'quota_key',
  'stacktrace',
  'wait_end_of_query',
  'buffer_size',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'enable_http_compression',
  'http_zlib_compression_level',
  'http_response_buffer_size',
  'cancel_http_readonly_queries_on_client_close',
])

/** ClickHouse's `default_session_timeout`. */
const SESSION_TIMEOUT_SECONDS = 60

/** Reads the statement out of a request, its body not yet received. */
export async function readStatement(
  request: IncomingMessage,
  url: ReadonlyMap<string, Buffer>,
  signal: AbortSignal,
): Promise<Statement> {
  let sql = url.get('query') ?? Buffer.alloc(0)
  let body = hasBody(request) ? decodedBody(request) : undefined
  const parameters = new Map<string, Buffer>()
  const settings = new Map<string, Buffer>()
  for (const [name, value] of url) {
    if (name.startsWith('param_')) parameters.set(name.slice('param_'.length), value)
    else if (!INTERFACE_PARAMETERS.has(name)) settings.set(name, value)
  }
  if (body && request.headers['content-type']?.startsWith('multipart/form-data')) {
    for (const [name, value] of await formFields(request, body)) {
      if (name === 'query') sql = value
      else if (name.startsWith('param_')) parameters.set(name.slice('param_'.length), value)
    }
    body = undefined
  }
  const text = (name: string, header?: string) =>
    url.get(name)?.toString() ?? (header ? request.headers[header]?.toString() : undefined)
  const sessionId = text('session_id')
  return {
    sql,
    body,
    parameters,
    settings,
    database: text('database', 'x-clickhouse-database'),
    defaultFormat: text('default_format', 'x-clickhouse-format') ?? 'TabSeparated',
    session:
      sessionId === undefined
        ? undefined
        : { id: sessionId, timeoutMs: Number(text('session_timeout') ?? SESSION_TIMEOUT_SECONDS) * 1000 },
    isReadOnly: request.method !== 'POST',
    waitsForEnd: text('wait_end_of_query') === '1',
    signal,
  }
}

/** RFC 9112 §6: a request has a body when it says how long it is. */
function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  return encoding !== undefined || (length !== undefined && length !== '0')
}

const DECODERS: Record<string, () => NodeJS.ReadWriteStream> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

function decodedBody(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return request
  const createDecoder = DECODERS[encoding]
  if (!createDecoder) throw clickHouseException(99, `Unknown content encoding: ${encoding}`)
  return Readable.from(request.compose(createDecoder()), { objectMode: false })
}

/** The client's way to send parameters that are too long for a URL (`use_multipart_params`). */
async function formFields(request: IncomingMessage, body: Readable): Promise<Map<string, Buffer>> {
  const headers = { 'content-type': request.headers['content-type']! }
  const form = await new Response(Readable.toWeb(body) as ReadableStream, { headers }).formData()
  const fields = new Map<string, Buffer>()
  for (const [name, value] of form) {
    fields.set(name, typeof value === 'string' ? Buffer.from(value) : Buffer.from(await value.arrayBuffer()))
  }
  return fields
}
