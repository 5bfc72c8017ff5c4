import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { StoredObject } from '@tendon/platform/object-store.ts'
import { parseByteRange } from './byte-range.ts'
import { acceptsGzip } from './content-encoding.ts'
import { cdnErrors } from './errors.ts'

type Representation = { body: Uint8Array<ArrayBuffer>; headers: Headers; etag: string; hasRanges: boolean }

/**
 * Answers GET or HEAD for an object: decoded where the client cannot, conditional, whole or one range of it.
 * @throws TENDON-CDN-005, TENDON-CDN-006
 */
export async function objectResponse(
  object: StoredObject,
  options: { request: Request; cacheControl: string },
): Promise<Response> {
  const { request, cacheControl } = options
  const { body, headers, etag, hasRanges } = await represent(object, request.headers.get('accept-encoding'))
  const modified = object.modifiedAt.toUTCString()
  headers.set('cache-control', cacheControl)
  headers.set('etag', etag)

  if (isOfAnotherState(request, etag, modified))
    throw cdnErrors.conditionFailed('The object is not in the state that was asked for.')
  if (matchesAny(request.headers.get('if-none-match'), etag))
    return new Response(null, { status: 304, headers })

  headers.set('content-type', object.contentType)
  headers.set('last-modified', modified)
  const range = hasRanges ? requestedRange(request, etag, body.length) : undefined
  if (range === 'unsatisfiable') {
    throw cdnErrors.rangeMissing('The object ends before this range.', {
      headers: { 'content-range': `bytes */${body.length}` },
    })
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
 * The object as stored, or decoded for a client that does not take gzip. The decoded one has only a weak validator: its
 * bytes are not the ones that the store's validator stands for (RFC 9110 §8.8.3.3). Of what is compressed there are no
 * ranges, which a server may always leave unheeded (§14.2), and nginx's gzip_static does.
 */
async function represent(object: StoredObject, acceptEncoding: string | null): Promise<Representation> {
  const { body, contentEncoding, etag } = object
  const headers = new Headers()
  if (!contentEncoding) return { body, headers, etag, hasRanges: true }
  headers.set('vary', 'accept-encoding')
  if (contentEncoding !== 'gzip' || acceptsGzip(acceptEncoding)) {
    headers.set('content-encoding', contentEncoding)
    return { body, headers, etag, hasRanges: false }
  }
  const decoded = new Uint8Array(await promisify(gunzip)(body))
  return { body: decoded, headers, etag: `W/${etag}`, hasRanges: false }
}

/** `If-Match` by strong comparison, without it `If-Unmodified-Since` (RFC 9110 §13.1.1, §13.1.4). */
function isOfAnotherState(request: Request, etag: string, modified: string): boolean {
  const ifMatch = request.headers.get('if-match')
  if (ifMatch === null) {
    return Date.parse(modified) > Date.parse(request.headers.get('if-unmodified-since') ?? '')
  }
  return (
    ifMatch.trim() !== '*' &&
    !ifMatch.matchAll(/(?:W\/)?"[^"]*"/g).some(([tag]) => tag === etag && !tag.startsWith('W/'))
  )
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
