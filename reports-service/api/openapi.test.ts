import { prosthesisDaily } from '@tendon/contracts/prosthesis-daily.ts'
import { reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { reportLink, reportList } from '@tendon/contracts/reports-api.ts'
import { createHttpApp } from '@tendon/platform/http-app.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { loadDeclaredReports } from '../declarations/load-reports.ts'
import { openApiDocument } from './openapi.ts'
import { addRoutes } from './routes.ts'

const reports = await loadDeclaredReports()

test('describes the routes that there are, and no others', async () => {
  const app = createHttpApp({
    log: createLog({ service: 'test', level: 'fatal' }),
    metrics: createMetrics('t'),
  })
  const shared = app.routes.length
  const never = () => Promise.reject(new Error('not called'))
  addRoutes(app, {
    reports,
    verifyAccessToken: never,
    invalidate: never,
    links: never,
    findDays: never,
    read: never,
    now: Date.now,
    onLink: () => {},
    onInvalidated: () => {},
  })
  const routes = app.routes
    .slice(shared)
    .filter((route) => route.method !== 'ALL')
    .map((route) => `${route.method} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`)
  const document = await (await app.request('/openapi.json')).json()
  const described = Object.entries<object>(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  )
  expect(described.sort()).toEqual([...new Set(routes)].sort())
})

test('its schemas are those of the contracts, and every reference leads somewhere', () => {
  const document = openApiDocument([...reports.values()])
  const parsed = z
    .object({ components: z.object({ schemas: z.record(z.string(), z.unknown()) }) })
    .parse(document)
  const { schemas } = parsed.components
  expect(schemas.ReportList).toMatchObject({ properties: z.toJSONSchema(reportList).properties })
  expect(schemas.ReportLink).toMatchObject({ properties: z.toJSONSchema(reportLink).properties })
  const envelope = reportEnvelope.extend({ data: prosthesisDaily })
  expect(schemas['report.prosthesis-daily']).toMatchObject({
    properties: { data: z.toJSONSchema(envelope).properties?.data },
  })
  const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)]
  expect(references.length).toBeGreaterThan(10)
  for (const [, name] of references) expect(schemas).toHaveProperty([name ?? ''])
})
