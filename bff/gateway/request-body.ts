import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Transform } from 'node:stream'
import { bffErrors } from '../errors.ts'

/**
 * The body of a request on its way to a service, cut off where it becomes too large; undefined when there is none.
 * Node has refused by now what has both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
 * @throws TENDON-BFF-019
 */
export function requestBody(incoming: IncomingMessage, maxBytes: number): Transform | undefined {
  if (!hasContent(incoming.headers)) return undefined
  const { 'content-length': length } = incoming.headers
  if (maxBytes === 0 || Number(length ?? 0) > maxBytes) throw tooLarge(maxBytes)
  let bytes = 0
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes > maxBytes) done(tooLarge(maxBytes))
      else done(null, chunk)
    },
  })
  incoming.once('error', (error) => counted.destroy(error))
  return incoming.pipe(counted)
}

/** RFC 9112 §6.3. */
export function hasContent(headers: IncomingHttpHeaders): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  return encoding !== undefined || (length !== undefined && length !== '0')
}

const tooLarge = (maxBytes: number) =>
  bffErrors.requestTooLarge(
    maxBytes === 0 ? 'This address takes no body.' : `This address takes at most ${maxBytes} bytes.`,
  )
