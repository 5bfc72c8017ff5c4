import { type Problem, problem } from '@tendon/contracts/problem.ts'
import type { ReportFormat } from '@tendon/contracts/report-envelope.ts'
import {
  type CustomerList,
  customerList,
  type ReportLink,
  type ReportList,
  reportLink,
  reportList,
} from '@tendon/contracts/reports-api.ts'
import {
  type OwnSessions,
  ownSessions,
  revokedSessions,
  type SessionUser,
  sessionUser,
} from '@tendon/contracts/session-api.ts'
import type { TendonError } from '@tendon/platform/errors.ts'
import { z } from 'zod'
import { webErrors } from '../errors.ts'

/** A request that did not give what was asked for; `problem` is fit to be shown. */
export class ApiError extends Error {
  readonly problem: Problem
  /** How long the service asked to be left alone (`Retry-After` in seconds, RFC 9110 §10.2.3). */
  readonly retryAfterMs: number

  constructor(problem: Problem, options?: ErrorOptions & { retryAfterMs?: number }) {
    super(problem.title, options)
    this.problem = problem
    this.retryAfterMs = options?.retryAfterMs ?? 0
  }
}

/** `isBackground`: asked by the page itself, which keeps no session alive that nobody uses. */
type Asking = { signal: AbortSignal; isBackground?: boolean }

const toBff = ({ signal, isBackground }: Asking): RequestInit & { signal: AbortSignal } => ({
  signal,
  ...(isBackground && { headers: { 'x-tendon-background': '1' } }),
})

/** On whatever changes something: another site cannot send it. */
const csrf = { 'x-tendon-csrf': '1' }

/** Who is signed in. */
export function getSession(asking: Asking): Promise<SessionUser> {
  return getJson('/auth/me', sessionUser, toBff(asking))
}

/** Where whoever is signed in is signed in. */
export function getOwnSessions(): Promise<OwnSessions> {
  return getOfSession('/auth/sessions', ownSessions, {})
}

/** Ends one of one's own sessions. @returns false when it was over by then */
export async function endSession(id: string): Promise<boolean> {
  try {
    await request(`/auth/sessions/${id}`, { method: 'DELETE', headers: csrf })
    return true
  } catch (error) {
    if (problemOf(error).status !== 404) throw error
    return false
  }
}

/** Ends all of one's own sessions, this one too. */
export async function endAllSessions(): Promise<void> {
  await request('/auth/sessions', { method: 'DELETE', headers: csrf })
}

/** Ends all of somebody's sessions, for staff. @returns how many; null when nobody of this name was signed in of late */
export async function endSessionsOf(username: string): Promise<number | null> {
  // A browser takes dot segments out of a path (WHATWG URL §4.4): what is left would be about one's own sessions.
  if (username === '.' || username === '..') return null
  return endOthersSessions(`/auth/users/${encodeURIComponent(username)}/sessions`)
}

/** The same of a customer, whatever their logins are called. */
export function endSessionsOfCustomer(customerId: string): Promise<number | null> {
  return endOthersSessions(`/auth/customers/${encodeURIComponent(customerId)}/sessions`)
}

async function endOthersSessions(url: string): Promise<number | null> {
  try {
    return (await getJson(url, revokedSessions, { method: 'DELETE', headers: csrf })).ended
  } catch (error) {
    if (problemOf(error).status !== 404) throw error
    return null
  }
}

/** The reports that can be read, and the days that have data. */
export function getReportList(userId: string | null, asking: Asking): Promise<ReportList> {
  return getOfSession(`/api/reports${userQuery(userId)}`, reportList, toBff(asking))
}

/** Customers whom staff look for, by name or whatever else they know. */
export function findCustomers(text: string): Promise<CustomerList> {
  return getOfSession(`/api/reports/customers?${new URLSearchParams({ query: text })}`, customerList, {})
}

/** What a report is asked by. */
export type ReportQuery = {
  name: string
  date: string
  userId: string | null
  /** What else it takes, by name. */
  chosen: Record<string, string>
}

/** Where a report lies now. */
export function getReportLink(
  { name, date, userId, chosen }: ReportQuery,
  asking: Asking,
  format: ReportFormat = 'json',
): Promise<ReportLink> {
  // The day's own report has the short address.
  const path = name === 'prosthesis-daily' ? 'cdn' : name
  const query = new URLSearchParams({
    ...(userId && { user_id: userId }),
    ...chosen,
    ...(format !== 'json' && { format }),
  })
  return getOfSession(
    `/api/reports/${path}/${date}${query.size > 0 ? `?${query}` : ''}`,
    reportLink,
    toBff(asking),
  )
}

/** At a signed address, which may be on another origin: nothing of the session goes there. */
const toCdn = { credentials: 'omit', referrerPolicy: 'no-referrer' } as const

/** The report behind a signed address. */
export function getReport<Report>(
  url: string,
  schema: z.ZodType<Report>,
  signal: AbortSignal,
): Promise<Report> {
  return getJson(url, schema, { ...toCdn, signal })
}

/** The file behind a signed address. */
export async function getFile(url: string): Promise<Blob> {
  return (await request(url, toCdn)).blob()
}

/** Ends the session here. @returns where to go next: the identity provider's logout page, or this site's start */
export async function signOut(): Promise<string> {
  const answer = await request('/auth/logout', { method: 'POST', headers: csrf })
  const body = z.object({ logout_url: z.string().nullish() }).safeParse(await answer.json().catch(() => null))
  const next = body.data?.logout_url ? new URL(body.data.logout_url, location.origin) : null
  return next?.protocol === 'https:' || next?.protocol === 'http:' ? next.href : '/'
}

/** An error of any kind as a problem that can be shown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem
  return asApiError(webErrors.unreadableAnswer('Something unexpected happened in this page.')).problem
}

/**
 * Asks once more when nobody is signed in: another tab may have signed in meanwhile, which ends the session that the
 * question was sent with and gives the browser a new one.
 */
async function getOfSession<T>(url: string, schema: z.ZodType<T>, init: RequestInit): Promise<T> {
  try {
    return await getJson(url, schema, init)
  } catch (error) {
    if (problemOf(error).status !== 401) throw error
    return getJson(url, schema, init)
  }
}

async function getJson<T>(url: string, schema: z.ZodType<T>, init: RequestInit): Promise<T> {
  const answer = await request(url, init)
  const parsed = schema.safeParse(await answer.json().catch(() => undefined))
  if (parsed.success) return parsed.data
  throw asApiError(webErrors.unreadableAnswer('The answer does not have the form this page knows.'))
}

async function request(url: string, init: RequestInit): Promise<Response> {
  let answer: Response
  try {
    answer = await fetch(url, init)
  } catch (cause) {
    throw asApiError(webErrors.unreachable('The service could not be reached.', { cause }))
  }
  if (answer.ok) return answer
  const body = problem.safeParse(await answer.json().catch(() => undefined))
  const shown = body.data ?? {
    ...asApiError(webErrors.unreadableAnswer(`The service answered ${answer.status}.`)).problem,
    status: answer.status,
  }
  throw new ApiError(shown, { retryAfterMs: retryAfterMs(answer) })
}

function asApiError(error: TendonError): ApiError {
  const { status, title, help } = error.definition
  return new ApiError(
    { type: 'about:blank', title, status, detail: error.message, code: error.code, help },
    { cause: error.cause },
  )
}

const retryAfterMs = (answer: Response) => (Number(answer.headers.get('retry-after')) || 0) * 1000

const userQuery = (userId: string | null) => (userId ? `?${new URLSearchParams({ user_id: userId })}` : '')
