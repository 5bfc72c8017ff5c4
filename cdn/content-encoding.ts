/**
 * Whether a client takes gzip (RFC 9110 §12.5.3). Without the header every encoding would be allowed, but
 * clients that do not send it (curl, scripts) mostly cannot decode either: nginx's gunzip module holds the same.
 */
export function acceptsGzip(acceptEncoding: string | null): boolean {
  const weights = new Map<string, number>()
  for (const item of (acceptEncoding ?? '').toLowerCase().split(',')) {
    const [coding, ...parameters] = item.split(';').map((part) => part.trim())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))
    if (coding) weights.set(coding, weight === undefined ? 1 : Number(weight.slice(2)))
  }
  return (weights.get('gzip') ?? weights.get('x-gzip') ?? weights.get('*') ?? 0) > 0
}
