import pino, { type DestinationStream, type Level, type Logger } from 'pino'

export type Log = Logger
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const satisfies Level[]

/**
 * Fields that never reach the log, at any depth, in any case, with `_`, `-` or nothing between the words.
 * A secret's place is a typed value that is not logged at all; this list is the net below that.
 */
export const redactedFields = [
  'access_token',
  'authorization',
  'authorization_code',
  'client_secret',
  'code_verifier',
  'cookie',
  'id_token',
  'password',
  'refresh_token',
  'secret',
  'secret_access_key',
  'session_id',
  'set-cookie',
  'sig',
  'token',
]

const fieldPattern = redactedFields.map((field) => field.replaceAll(/[_-]/g, '[_-]?')).join('|')
const isRedactedField = new RegExp(`^(?:${fieldPattern})$`, 'i')
const holdsRedactedField = new RegExp(`"(?:${fieldPattern})":`, 'i')
/** What a token is written with. Whole words, for anybody may write into a line: a pattern of `eyJ` tries each that there is. */
const tokenWord = /[\w.-]+/g
const censor = '[redacted]'

/**
 * A logger that writes JSON lines, one an event that matters.
 * @param service stands in every line as `service`
 * @param destination where the lines go; standard output unless told
 */
export function createLog(
  options: { service: string; level?: Level },
  destination: DestinationStream = bufferedLines(1),
): Log {
  return pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service },
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // On the finished line, so that nothing goes past it: neither bindings of a child nor an error's message.
      hooks: { streamWrite: redactLine },
      serializers: { err: serializeError },
    },
    destination,
  )
}

let timeMs = 0
let timeField = ''
/** As pino's own, made once a millisecond: under load several lines share it. */
function isoTime(): string {
  const nowMs = Date.now()
  if (nowMs !== timeMs) {
    timeMs = nowMs
    timeField = `,"time":"${new Date(nowMs).toISOString()}"`
  }
  return timeField
}

/**
 * Lines written several at a time, a tenth of a second later at most: a write for each takes as much CPU as all else that it
 * costs (measured). A process that exits writes the rest; one that is killed does not.
 * @param fd of an open file
 */
export function bufferedLines(fd: number): DestinationStream {
  const destination = pino.destination({
    dest: fd,
    sync: false,
    contentMode: 'buffer',
    minLength: 32_768,
    maxWrite: 65_536,
    periodicFlush: 100,
  })
  // As bytes, though its types tell of text alone: of text it counts all that waits anew with each line.
  const write = destination.write.bind(destination)
  destination.write = (line) => write(Buffer.from(line) as never)
  return destination
}

/** Lines appended to a file, each on disk before the next event is handled; its folder is made when it is missing. */
export function openLogFile(path: string): DestinationStream {
  return pino.destination({ dest: path, sync: true, mkdir: true })
}

/** Most lines have nothing to cut out, which one look at the text tells: 1 µs a line, and 10 µs when there is. */
function redactLine(line: string): string {
  const withoutTokens = line.includes('eyJ') ? line.replace(tokenWord, withoutToken) : line
  if (!holdsRedactedField.test(withoutTokens)) return withoutTokens
  const redacted: unknown = JSON.parse(withoutTokens, (key, value) =>
    isRedactedField.test(key) ? censor : value,
  )
  return `${JSON.stringify(redacted)}\n`
}

/** A signed or encrypted token (RFC 7519 §3.1): its header is JSON, and `{"` in base64url begins with eyJ. */
function withoutToken(word: string): string {
  const [before = ''] = word.split('eyJ', 1)
  return word.slice(before.length).split('.', 3).length === 3 ? before + censor : word
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
