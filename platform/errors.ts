/**
 * Coded errors. A folder declares its errors as one table; each entry becomes a factory, and the tables
 * together become docs/errors.md (`npm run docs`).
 */

export type ErrorDefinition = {
  /** The number in the code, unique in its area and never reused. */
  number: number
  /** HTTP status when the error reaches a client. */
  status: number
  /** What happened, in general: the heading of its section in docs/errors.md. */
  title: string
  /** What the reader can do about it. */
  help: string
  /** Seconds after which a client may try again (`Retry-After`, RFC 9110 §10.2.3). */
  retryAfterSeconds?: number
  /** What such an answer must name besides, as `allow` with 405 (RFC 9110 §15.5.6). */
  headers?: Record<string, string>
}

/** An error whose code is documented. `detail` says what happened to what, and is safe to show to a user. */
export class TendonError extends Error {
  readonly code: string
  readonly definition: ErrorDefinition
  readonly retryAfterSeconds: number | undefined
  readonly headers: Record<string, string> | undefined

  constructor(code: string, definition: ErrorDefinition, detail: string, options?: TendonErrorOptions) {
    super(detail, options)
    this.name = 'TendonError'
    this.code = code
    this.definition = definition
    this.retryAfterSeconds = options?.retryAfterSeconds ?? definition.retryAfterSeconds
    this.headers = options?.headers ?? definition.headers
  }
}

/** What is known only when it happens, in place of the definition's. */
type TendonErrorOptions = ErrorOptions & Pick<ErrorDefinition, 'retryAfterSeconds' | 'headers'>

type ErrorFactory = ((detail: string, options?: TendonErrorOptions) => TendonError) & {
  code: string
  definition: ErrorDefinition
}

export type ErrorTable<Name extends string = string> = Record<Name, ErrorFactory>

/**
 * Declares the errors of one area: `defineErrors('CDC', { slotLost: { number: 4, … } })` gives
 * `errors.slotLost('slot tendon_crm …', { cause })`, whose code is `TENDON-CDC-004`.
 */
export function defineErrors<Name extends string>(
  area: string,
  definitions: Record<Name, ErrorDefinition>,
): ErrorTable<Name> {
  const table = {} as ErrorTable<Name>
  const numbers = new Set<number>()
  for (const [name, definition] of Object.entries<ErrorDefinition>(definitions)) {
    if (numbers.has(definition.number))
      throw new Error(`${area} uses error number ${definition.number} twice`)
    numbers.add(definition.number)
    const code = `TENDON-${area}-${String(definition.number).padStart(3, '0')}`
    const create = (detail: string, options?: TendonErrorOptions) =>
      new TendonError(code, definition, detail, options)
    table[name as Name] = Object.assign(create, { code, definition })
  }
  return table
}
