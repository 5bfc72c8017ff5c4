import { invalidateRequest, type ReportList } from '@tendon/contracts/reports-api.ts'
import type { AccessTokenVerifier } from '@tendon/platform/access-token.ts'
import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import type { Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { z } from 'zod'
import { reportsErrors } from './errors.ts'
import type { Generations } from './generations.ts'
import { openApiDocument } from './openapi.ts'
import type { LoadedReport, ReadWarehouse } from './report.ts'
import { assertMayInvalidate, assertMayRead, mayRead, reportOwner } from './report-access.ts'
import type { ReportLinks } from './report-links.ts'

// 100,000 ids of 39 bytes, and as much again for white space.
const maxBodyBytes = 8 * 1024 * 1024
const earliestDay = '1970-01-01'
const userId = z.uuid().toLowerCase()

export type RouteOptions = {
  /** Filled before the first request. */
  reports: ReadonlyMap<string, LoadedReport>
  verifyAccessToken: AccessTokenVerifier
  generations: Generations
  links: ReportLinks
  read: ReadWarehouse
  now: () => number
  onLink: (report: string, cache: 'hit' | 'miss') => void
  onInvalidated: (users: number) => void
}

/** The endpoints, as `openapi.ts` describes them. */
export function addRoutes(app: HttpApp, options: RouteOptions): void {
  const { reports, verifyAccessToken, generations, links, read, now } = options

  app.get('/openapi.json', (c) => c.json(openApiDocument([...reports.values()])))

  app.get('/reports', async (c) => {
    const caller = await verifyAccessToken(c.req.header('authorization'))
    const user_id = reportOwner(caller, requestedUser(c))
    const readable = [...reports.values()].filter((report) => mayRead(caller, report))
    const list = await Promise.all(
      readable.map(async (report) => {
        const days = await report.days(read, { user_id })
        const { name, title } = report
        return { name, title, latest_date: days?.to ?? null, from: days?.from ?? null, to: days?.to ?? null }
      }),
    )
    return privateJson(c, { reports: list } satisfies ReportList)
  })

  app.get('/reports/:report/:date', async (c) => {
    const caller = await verifyAccessToken(c.req.header('authorization'))
    const user_id = reportOwner(caller, requestedUser(c))
    const report = reports.get(c.req.param('report'))
    if (!report) throw reportsErrors.reportUnknown('There is no report of this name.')
    assertMayRead(caller, report)
    const link = await links(report, { user_id, date: parseDay(c.req.param('date'), now()) })
    options.onLink(report.name, link.cache)
    return privateJson(c, link)
  })

  // Who may not invalidate is refused before the body is read.
  app.use('/invalidate', async (c, next) => {
    assertMayInvalidate(await verifyAccessToken(c.req.header('authorization')))
    await next()
  })
  app.post('/invalidate', bodyLimit({ maxSize: maxBodyBytes, onError: refuseBody }), async (c) => {
    const userIds = await invalidatedUsers(c)
    await generations.renew(userIds)
    options.onInvalidated(userIds.length)
    c.get('log').info({ users: userIds.length }, 'reports invalidated')
    return privateJson(c, { invalidated: userIds.length })
  })
}

/** The `user_id` parameter. Given twice it is refused: two readers of one URL could each believe another one. */
function requestedUser(c: Context<HttpEnv>): string | undefined {
  const [first, second] = c.req.queries('user_id') ?? []
  if (first === undefined) return undefined
  const parsed = userId.safeParse(first)
  if (!parsed.success || second !== undefined) {
    throw reportsErrors.requestInvalid('The parameter user_id is not one UUID.')
  }
  return parsed.data
}

/** A day is a UTC day. @throws TENDON-REPORTS-001 (not a day), -002 (in the future) */
function parseDay(text: string, nowMs: number): string {
  const parsed = z.iso.date().safeParse(text)
  if (!parsed.success || parsed.data < earliestDay) {
    throw reportsErrors.dateMalformed('The address does not end in a day.')
  }
  if (parsed.data > new Date(nowMs).toISOString().slice(0, 10)) {
    throw reportsErrors.dateInFuture(`${parsed.data} has not begun yet.`)
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
