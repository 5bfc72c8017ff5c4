import { reportFormat } from '@tendon/contracts/report-envelope.ts'
import { customerSearch, invalidateRequest, type ReportList } from '@tendon/contracts/reports-api.ts'
import type { AccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { type HttpApp, type HttpEnv, requestLog } from '@tendon/platform/http-app.ts'
import type { Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { z } from 'zod'
import { findCustomers } from '../customers/find-customers.ts'
import type { LoadedReport, ReadWarehouse, ReportParameters } from '../declarations/report.ts'
import { reportsErrors } from '../errors.ts'
import type { FindReportDays } from '../links/report-days.ts'
import type { ReportLinks } from '../links/report-links.ts'
import { openApiDocument } from './openapi.ts'
import {
  assertMayFindCustomers,
  assertMayInvalidate,
  assertMayRead,
  mayRead,
  reportOwner,
  subjectOf,
} from './report-access.ts'

// 100,000 ids of 39 bytes, and as much again for white space.
const maxBodyBytes = 8 * 1024 * 1024
const earliestDay = '1970-01-01'
/** A day is the patient's, and begins first in the zone UTC+14. */
const firstZoneMs = 14 * 3_600_000
const userId = z.guid().toLowerCase()
const isoDay = z.iso.date()

export type RouteOptions = {
  /** Filled before the first request. */
  reports: ReadonlyMap<string, LoadedReport>
  verifyAccessToken: AccessTokenVerifier
  links: ReportLinks
  findDays: FindReportDays
  /** Resolves when nothing of before is handed out any more. */
  invalidate: (userIds: readonly string[]) => Promise<void>
  read: ReadWarehouse
  now: () => number
  /** Somebody was given a link. */
  onLink: (report: LoadedReport, parameters: ReportParameters, cache: 'hit' | 'miss') => void
  onInvalidated: (users: number) => void
}

/** The endpoints, as `openapi.ts` describes them. */
export function addRoutes(app: HttpApp, options: RouteOptions): void {
  const { reports, verifyAccessToken, links, findDays, read, now } = options

  app.get('/openapi.json', (c) => c.json(openApiDocument([...reports.values()])))

  app.get('/reports', async (c) => {
    const caller = await verifyAccessToken(c.req.header('authorization'))
    const { user_id: requested } = parseQuery(listQuery, c)
    const readable = [...reports.values()].filter((report) => mayRead(caller, report))
    // Staff who name nobody are shown what is of everybody.
    const hasOwner = requested !== undefined || caller.customerId !== undefined
    const shown = readable.filter((report) => hasOwner || subjectOf(report) === 'everybody')
    if (shown.length === 0) reportOwner(caller, requested)
    const list = await Promise.all(
      shown.map(async (report) => {
        const subject = subjectOf(report)
        const user_id = subject === 'customer' ? reportOwner(caller, requested) : null
        const days = await findDays(report, { user_id })
        const { from = null, to = null, latest: latest_date = to } = days ?? {}
        const { name, title } = report
        return { name, title, subject, formats: reportFormat.options, latest_date, from, to }
      }),
    )
    return privateJson(c, { reports: list } satisfies ReportList)
  })

  app.get('/customers', async (c) => {
    const caller = await verifyAccessToken(c.req.header('authorization'))
    assertMayFindCustomers(caller)
    const found = await findCustomers(read, parseQuery(customersQuery, c).query)
    // What was looked for is about people: the log says who looked, and not for whom.
    requestLog(c).info({ subject: caller.subject, customers: found.customers.length }, 'customers looked for')
    return privateJson(c, found)
  })

  app.get('/reports/:report/:date', async (c) => {
    const caller = await verifyAccessToken(c.req.header('authorization'))
    const report = reports.get(c.req.param('report'))
    const { user_id: requested, format = 'json', ...others } = parseQuery(linkQuery, c)
    // Whose it is comes first: who may not ask learns nothing about what there is.
    const owner = report && subjectOf(report) === 'everybody' ? null : reportOwner(caller, requested)
    if (!report) throw reportsErrors.reportUnknown('There is no report of this name.')
    assertMayRead(caller, report)
    if (owner === null && requested !== undefined) {
      throw reportsErrors.requestInvalid(`${report.name} is of everybody and takes no user_id.`)
    }
    const date = parseDay(c.req.param('date'), now())
    const parameters = { user_id: owner, date, chosen: chosenParameters(report, others) }
    const link = await links(report, parameters, format)
    options.onLink(report, parameters, link.cache)
    return privateJson(c, link)
  })

  // Who may not invalidate is refused before the body is read.
  app.use('/invalidate', async (c, next) => {
    assertMayInvalidate(await verifyAccessToken(c.req.header('authorization')))
    await next()
  })
  app.post('/invalidate', bodyLimit({ maxSize: maxBodyBytes, onError: refuseBody }), async (c) => {
    const userIds = await invalidatedUsers(c)
    await options.invalidate(userIds)
    options.onInvalidated(userIds.length)
    requestLog(c).info({ users: userIds.length }, 'reports invalidated')
    return privateJson(c, { invalidated: userIds.length })
  })
}

const customersQuery = z.strictObject({ query: customerSearch })
const listQuery = z.strictObject({ user_id: userId.optional() })
const linkQuery = z
  .object({ user_id: userId.optional(), format: reportFormat.optional() })
  .catchall(z.string())

/** A parameter given twice is refused: two readers of one URL could each believe another one. */
function parseQuery<Query extends z.ZodType>(query: Query, c: Context<HttpEnv>): z.infer<Query> {
  const given = Object.entries(c.req.queries())
  const parsed = query.safeParse(Object.fromEntries(given.map(([name, [value]]) => [name, value])))
  const twice = given.flatMap(([name, values]) => (values.length > 1 ? [name] : []))
  if (parsed.success && twice.length === 0) return parsed.data
  const refusals = [
    ...twice.map((name) => `query.${name} is given twice`),
    ...(parsed.error?.issues ?? []).flatMap(refusalsOf),
  ]
  throw reportsErrors.requestInvalid(`${[...new Set(refusals)].join('; ')}.`)
}

/** What is wrong with each parameter, and what would be right where that is a list. */
function refusalsOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((name) => `query.${name} is not known here`)
  const [name] = issue.path
  const right =
    issue.code === 'invalid_value' ? `is one of ${issue.values.join(', ')}` : 'is not as described'
  return [`query.${String(name)} ${right}`]
}

/** @throws TENDON-REPORTS-009 for a parameter that the report does not have, or a value that it does not take */
function chosenParameters(report: LoadedReport, given: Record<string, string>): ReportParameters['chosen'] {
  const parsed = report.parameters.safeParse(given)
  if (parsed.success) return parsed.data
  const refusals = [...new Set(parsed.error.issues.flatMap(refusalsOf))]
  throw reportsErrors.requestInvalid(`${report.name}: ${refusals.join('; ')}.`)
}

/** @throws TENDON-REPORTS-001 (not a day), -002 (in the future) */
function parseDay(text: string, nowMs: number): string {
  const parsed = isoDay.safeParse(text)
  if (!parsed.success || parsed.data < earliestDay) {
    throw reportsErrors.dateMalformed('The address does not end in a day.')
  }
  if (parsed.data > new Date(nowMs + firstZoneMs).toISOString().slice(0, 10)) {
    throw reportsErrors.dateInFuture(`${parsed.data} has not begun anywhere yet.`)
  }
  return parsed.data
}

/** Each user once, in lower case as tokens and names have them. */
async function invalidatedUsers(c: Context<HttpEnv>): Promise<string[]> {
  const body = await c.req.json().catch((cause: unknown) => {
    if (cause instanceof SyntaxError) throw reportsErrors.requestInvalid('The body is not JSON.', { cause })
    throw cause
  })
  const parsed = invalidateRequest.safeParse(body)
  if (!parsed.success) {
    throw reportsErrors.requestInvalid(
      'The body is neither {"user_id": <UUID>} nor {"user_ids": [<UUID>, …]} with at most 100,000 of them.',
    )
  }
  const ids = 'user_ids' in parsed.data ? parsed.data.user_ids : [parsed.data.user_id]
  return [...new Set(ids.map((id) => id.toLowerCase()))]
}

function refuseBody(): never {
  throw reportsErrors.bodyTooLarge(`The body is larger than ${maxBodyBytes} bytes.`)
}

/** Links are personal and short-lived; the objects behind them are what caches keep. */
function privateJson(c: Context<HttpEnv>, body: object): Response {
  return c.json(body, 200, { 'cache-control': 'no-store' })
}
