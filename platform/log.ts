import pino, { type DestinationStream, type Level, type Logger } from 'pino'

export type Log = Logger
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const satisfies Level[]

/**
 * Fields that never reach the log, wherever they stand at the top of a line or one level below.
 * A secret's place is a typed value that is not logged at all; this list is the net below that.
 */
export const redactedFields = [
  'access_token',
  'accessToken',
  'authorization',
  'client_secret',
  'clientSecret',
  'code',
  'code_verifier',
  'cookie',
  'id_token',
  'idToken',
  'password',
  'refresh_token',
  'refreshToken',
  'secret',
  'secretAccessKey',
  'session_id',
  'sessionId',
  'set-cookie',
  'sig',
  'token',
]

/**
 * A logger that writes JSON lines, one an event that matters.
 * @param service stands in every line as `service`
 * @param destination where the lines go; standard output unless told
 */
export function createLog(
  options: { service: string; level?: Level },
  destination: DestinationStream = pino.destination({ dest: 1, sync: false }),
): Log {
  const paths = redactedFields.flatMap((field) => [`["${field}"]`, `*["${field}"]`])
  return pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: '[redacted]' },
      serializers: { err: serializeError },
    },
    destination,
  )
}

/** Errors as plain fields, with the code and the chain of causes; a field of an error that is a secret stays out. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? error.code : undefined
  return {
    type: error.name,
    error_code: code,
    message: error.message,
    stack: error.stack,
    ...(error.cause !== undefined && { cause: serializeError(error.cause) }),
  }
}
