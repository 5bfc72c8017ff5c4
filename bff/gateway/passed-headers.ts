import type { IncomingHttpHeaders } from 'node:http'

/**
 * What passes from the browser to a service. A list of what may, not of what may not: cookies, `Authorization`,
 * `X-Forwarded-*` and `X-Forwarded-User`, hop-by-hop headers (RFC 9110 §7.6.1) and whatever is invented next stay here.
 */
const requestHeaders = [
  'accept',
  'accept-encoding',
  'accept-language',
  'content-encoding',
  'content-language',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'prefer',
  'range',
  'tracestate',
]

/** And back. Neither cookies nor what a service thinks of caching and of other origins: all of it is one person's. */
const responseHeaders = [
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
  'retry-after',
  'vary',
]

/** W3C Trace Context §3.2; ids of nothing but zeros are none (§3.2.2). */
const traceparent = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** @param own what this gateway says itself */
export function headersForService(
  headers: IncomingHttpHeaders,
  own: Record<string, string>,
): Record<string, string> {
  const passed = pick(headers, requestHeaders)
  if (headers.traceparent && traceparent.test(String(headers.traceparent))) {
    passed.traceparent = String(headers.traceparent)
  } else {
    // Without its parent the state belongs to nothing (§3.3).
    delete passed.tracestate
  }
  return Object.assign(passed, own)
}

export function headersForBrowser(status: number, headers: IncomingHttpHeaders): Record<string, string> {
  const passed = pick(headers, responseHeaders)
  // RFC 9110 §8.6: who believes it would take the next answer for this one's content.
  if (status === 204) delete passed['content-length']
  return passed
}

function pick(headers: IncomingHttpHeaders, names: string[]): Record<string, string> {
  // RFC 9110 §7.6.1: what Connection lists is for the next hop alone, whatever its name.
  const listed = headers.connection
    ? headers.connection
        .toLowerCase()
        .split(',')
        .map((name) => name.trim())
    : []
  const picked: Record<string, string> = {}
  for (const name of names) {
    const value = headers[name]
    if (value !== undefined && !listed.includes(name)) picked[name] = String(value)
  }
  return picked
}
