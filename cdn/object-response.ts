import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { StoredObject } from '@tendon/platform/object-store.ts'
import { parseByteRange } from './byte-range.ts'
import { acceptsGzip } from './content-encoding.ts'

type Representation = { body: Uint8Array<ArrayBuffer>; headers: Headers; etag: string; hasRanges: boolean }

/** Answers GET or HEAD for an object: decoded where the client cannot, conditional, whole or one range of it. */
export async function objectResponse(
  object: StoredObject,
  options: { request: Request; cacheControl: string },
): Promise<Response> {
  const { request, cacheControl } = options
  const { body, headers, etag, hasRanges } = await represent(object, request.headers.get('accept-encoding'))
  headers.set('cache-control', cacheControl)
  headers.set('etag', etag)

  if (matchesAny(request.headers.get('if-none-match'), etag))
    return new Response(null, { status: 304, headers })

  headers.set('content-type', object.contentType)
  headers.set('last-modified', object.modifiedAt.toUTCString())
  const range = hasRanges ? requestedRange(request, etag, body.length) : undefined
  if (range === 'unsatisfiable') {
    headers.set('content-range', `bytes */${body.length}`)
    headers.set('cache-control', 'no-store')
    return new Response(null, { status: 416, headers })
  }
  if (hasRanges) headers.set('accept-ranges', 'bytes')
  if (range) {
    headers.set('content-range', `bytes ${range.first}-${range.last}/${body.length}`)
    headers.set('content-length', String(range.last - range.first + 1))
    return new Response(body.subarray(range.first, range.last + 1), { status: 206, headers })
  }
  headers.set('content-length', String(body.length))
  return new Response(body, { status: 200, headers })
}

/**
 * The object as stored, or decoded for a client that does not take gzip. The decoded one has no ranges and only a
 * weak validator: its bytes are not the ones that the store's validator stands for (RFC 9110 §8.8.3.3).
 */
async function represent(object: StoredObject, acceptEncoding: string | null): Promise<Representation> {
  const { body, contentEncoding, etag } = object
  const headers = new Headers()
  if (!contentEncoding) return { body, headers, etag, hasRanges: true }
  headers.set('vary', 'accept-encoding')
  if (contentEncoding !== 'gzip' || acceptsGzip(acceptEncoding)) {
    headers.set('content-encoding', contentEncoding)
    return { body, headers, etag, hasRanges: true }
  }
  const decoded = new Uint8Array(await promisify(gunzip)(body))
  return { body: decoded, headers, etag: `W/${etag}`, hasRanges: false }
}

/** `If-None-Match` by weak comparison (RFC 9110 §13.1.2). */
function matchesAny(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false
  if (ifNoneMatch.trim() === '*') return true
  const opaque = etag.replace(/^W\//, '')
  return ifNoneMatch.matchAll(/"[^"]*"/g).some(([tag]) => tag === opaque)
}

/** Ranges are for GET (RFC 9110 §14.2), and only of the very bytes that `If-Range` names (§13.1.5). */
function requestedRange(request: Request, etag: string, size: number) {
  if (request.method !== 'GET') return undefined
  const ifRange = request.headers.get('if-range')
  if (ifRange !== null && ifRange !== etag) return undefined
  return parseByteRange(request.headers.get('range'), size)
}
