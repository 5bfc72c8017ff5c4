import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'

const maxFormBytes = 4_096

/** What a form says; undefined when it is longer than any of here, or does not say how long it is. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY) > maxFormBytes) {
    request.resume()
    return undefined
  }
  return new URLSearchParams(await text(request))
}
