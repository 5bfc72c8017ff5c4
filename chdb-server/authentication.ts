import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { clickHouseException } from './clickhouse-exception.ts'

export type Credentials = { user: string; password: string }

/**
 * Checks a request's user and password, which may come in the URL, in X-ClickHouse-* headers or as HTTP Basic,
 * in this order (https://clickhouse.com/docs/interfaces/http#default-database).
 *
 * @throws {ClickHouseException} 516, the same for a wrong user and a wrong password.
 */
export function authenticate(
  headers: IncomingHttpHeaders,
  urlParameters: ReadonlyMap<string, Buffer>,
  expected: Credentials,
): void {
  const basic = basicCredentials(headers.authorization)
  const user =
    urlParameters.get('user')?.toString() ?? header(headers, 'x-clickhouse-user') ?? basic?.user ?? 'default'
  const password =
    urlParameters.get('password')?.toString() ?? header(headers, 'x-clickhouse-key') ?? basic?.password ?? ''
  const isRight = [isSame(user, expected.user), isSame(password, expected.password)].every(Boolean)
  if (!isRight) {
    throw clickHouseException(
      516,
      `${user}: Authentication failed: password is incorrect, or there is no user with such name`,
    )
  }
}

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  return headers[name]?.toString()
}

/** RFC 7617: base64 of `user:password`; the password may itself have colons. */
function basicCredentials(authorization: string | undefined): Credentials | undefined {
  const encoded = /^Basic (.+)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const [user = '', ...password] = Buffer.from(encoded, 'base64').toString().split(':')
  return { user, password: password.join(':') }
}

/** Compares hashes, which are of one length, so that the time says nothing about either text. */
function isSame(left: string, right: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(left), hash(right))
}
