import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type ProsthesisDaily, prosthesisDaily } from '@tendon/contracts/prosthesis-daily.ts'
import { type ReportEnvelope, reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { invalidateResponse, type ReportLink, reportLink } from '@tendon/contracts/reports-api.ts'
import type { HttpApp } from '@tendon/platform/http-app.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { createFolderStore } from '@tendon/platform/object-store-folder.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { createReportsService, type ReportsService } from './reports-service.ts'
import { startClickHouseProxy } from './test-clickhouse-proxy.fixture.ts'
import { startTestIdentity } from './test-identity.fixture.ts'
import { startTestWarehouse } from './test-warehouse.fixture.ts'

/** Fixed, so that links of one test stay within one window. */
export const today = '2026-03-14'
/** A minute after it, so that the link's window is the next one. */
export const noonMs = Date.parse(`${today}T12:01:00Z`)
export const daily = `/reports/prosthesis-daily/${today}`
export const cdnBaseUrl = 'http://cdn.test/cdn'
export const signingKeys = [{ id: 'k1', secret: 'a secret of at least 32 characters' }] as const

export type TestInstance = {
  app: HttpApp
  get(path: string, authorization?: string): Promise<Response>
  post(path: string, body: unknown, authorization?: string): Promise<Response>
}
export type TestInstances = Awaited<ReturnType<typeof startTestInstances>>

/** All that instances of the service share: ClickHouse behind a proxy, an object store, a key-value store, identity. */
export async function startTestInstances() {
  const tested = await startTestWarehouse()
  const identity = await startTestIdentity()
  const proxy = await startClickHouseProxy(tested.server.url)
  const store = createFolderStore(join(tested.folder, 'objects'))
  await store.check()
  const keyValue = createMemoryKeyValue()
  const warehouse = createWarehouse({ ...tested.server, url: proxy.url })
  const services = new Map<TestInstance, ReportsService>()

  /** A further instance, of which single parts may be replaced. */
  async function instance(
    parts: {
      store?: ObjectStore
      keyValue?: KeyValue
      queryTimeoutMs?: number
      prewarmUsers?: number
      now?: () => number
    } = {},
  ): Promise<TestInstance> {
    const { queryTimeoutMs = 10_000, prewarmUsers = 0, ...others } = parts
    const service = createReportsService({
      config: {
        cdnBaseUrl,
        signingKeys,
        concurrentQueries: 8,
        queryTimeoutMs,
        objectMaxAgeDays: 7,
        prewarmUsers,
      },
      warehouse,
      store,
      keyValue,
      now: () => noonMs,
      ...others,
      verifyAccessToken: identity.verifyAccessToken,
      log: createLog({ service: 'test', level: 'fatal' }),
      metrics: createMetrics('reports_service'),
    })
    await service.start()
    const request = async (path: string, init: RequestInit) => service.app.request(path, init)
    const headers = (authorization?: string) => ({
      'content-type': 'application/json',
      ...(authorization && { authorization }),
    })
    const started: TestInstance = {
      app: service.app,
      get: (path, authorization) => request(path, { headers: headers(authorization) }),
      post: (path, body, authorization) =>
        request(path, {
          method: 'POST',
          body: typeof body === 'string' ? body : JSON.stringify(body),
          headers: headers(authorization),
        }),
    }
    services.set(started, service)
    return started
  }

  /** The report of any kind behind a link. */
  async function stored(link: { url: string }, from: ObjectStore = store): Promise<ReportEnvelope> {
    const object = await from.get(objectName(link))
    if (object?.contentEncoding !== 'gzip') throw new Error(`not stored compressed: ${link.url}`)
    return reportEnvelope.parse(JSON.parse(gunzipSync(object.body).toString('utf8')))
  }

  return {
    ...tested,
    identity,
    proxy,
    store,
    keyValue,
    instance,
    stop: async (one: TestInstance) => services.get(one)?.stop(),
    /** Asks for a link, which must be given. */
    async link(from: TestInstance, path: string, authorization: string): Promise<ReportLink> {
      const answer = await from.get(path, authorization)
      if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
      return reportLink.parse(await answer.json())
    },
    /** Invalidates, which must succeed; how many users it was. */
    async invalidate(at: TestInstance, body: unknown): Promise<number> {
      const answer = await at.post('/invalidate', body, await identity.invalidator())
      if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
      return invalidateResponse.parse(await answer.json()).invalidated
    },
    /** The object behind a link. */
    async object(
      link: { url: string },
      from?: ObjectStore,
    ): Promise<ReportEnvelope & { data: ProsthesisDaily }> {
      const envelope = await stored(link, from)
      return { ...envelope, data: prosthesisDaily.parse(envelope.data) }
    },
    stored,
    async close() {
      await Promise.all([...services.values()].map((service) => service.stop()))
      await warehouse.close()
      await proxy.close()
      await identity.close()
      await tested.remove()
    },
  }
}

/** The name in the object store of what a link points to. */
export function objectName(link: { url: string }): string {
  return new URL(link.url).pathname.replace('/cdn/', '')
}
