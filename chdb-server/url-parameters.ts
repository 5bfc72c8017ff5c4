/**
 * The parameters of a URL's query part, their values as bytes: ClickHouse strings need not be UTF-8, and
 * URLSearchParams would replace what is not.
 */
export function urlParameters(requestUrl: string): Map<string, Buffer> {
  const parameters = new Map<string, Buffer>()
  const questionMark = requestUrl.indexOf('?')
  if (questionMark < 0) return parameters
  for (const pair of requestUrl.slice(questionMark + 1).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    const value = equals < 0 ? '' : pair.slice(equals + 1)
    parameters.set(percentDecode(name).toString(), percentDecode(value))
  }
  return parameters
}

/** application/x-www-form-urlencoded, as URL query parts are; a % without two hex digits stays as it is. */
function percentDecode(text: string): Buffer {
  const latin1 = Buffer.from(text.replaceAll('+', ' '))
    .toString('latin1')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(latin1, 'latin1')
}
