/** An error as ClickHouse's HTTP interface answers it: the code and name that clients look at, and a text. */
export class ClickHouseException extends Error {
  override readonly name = 'ClickHouseException'
  /** ClickHouse's number of the error (src/Common/ErrorCodes.cpp). */
  readonly code: number

  /** @param text the whole answer, `Code: 62. DB::Exception: …. (SYNTAX_ERROR)`. */
  constructor(code: number, text: string) {
    super(text)
    this.code = code
  }
}

const ERROR_NAMES = {
  36: 'BAD_ARGUMENTS',
  48: 'NOT_IMPLEMENTED',
  62: 'SYNTAX_ERROR',
  99: 'UNKNOWN_COMPRESSION_METHOD',
  115: 'UNKNOWN_SETTING',
  164: 'READONLY',
  373: 'SESSION_IS_LOCKED',
  516: 'AUTHENTICATION_FAILED',
} as const

/** An error that this server finds itself, worded as ClickHouse words it. */
export function clickHouseException(code: keyof typeof ERROR_NAMES, reason: string): ClickHouseException {
  return new ClickHouseException(code, `Code: ${code}. DB::Exception: ${reason}. (${ERROR_NAMES[code]})`)
}

const ENGINE_ERROR = /Code: (\d+)\. (?:DB::|Poco::|std::)/

/** Whatever was thrown, as ClickHouse would answer it. Errors of the engine keep their own code and text. */
export function toClickHouseException(error: unknown): ClickHouseException {
  if (error instanceof ClickHouseException) return error
  const text = error instanceof Error ? error.message : String(error)
  const match = ENGINE_ERROR.exec(text)
  if (match) return new ClickHouseException(Number(match[1]), text.slice(match.index))
  return new ClickHouseException(1001, `Code: 1001. DB::Exception: ${text}. (STD_EXCEPTION)`)
}

/** The HTTP status by code, as `exceptionCodeToHTTPStatus` of ClickHouse's src/Server/HTTP has it. */
const HTTP_STATUS = new Map<number, number>([
  ...[194].map((code) => [code, 401] as const),
  ...[192, 193, 516, 497].map((code) => [code, 403] as const),
  ...[6, 26, 27, 36, 38, 41, 53, 62, 69, 72, 99, 117, 131, 321, 427, 456].map((code) => [code, 400] as const),
  ...[46, 47, 50, 56, 60, 63, 73, 81, 108, 115].map((code) => [code, 404] as const),
  [159, 408],
  [229, 413],
  [48, 501],
  [209, 503],
])

/** The HTTP status of an error; 500 where ClickHouse has no other. */
export function httpStatusOf(exception: ClickHouseException): number {
  return HTTP_STATUS.get(exception.code) ?? 500
}
