import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createIdentityProvider,
  type IdentityProvider,
} from '@tendon/bff/identity-provider/identity-provider.ts'
import { createLog } from '@tendon/platform/log.ts'
import { applyCrmSchema, applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@tendon/sources/embedded-postgres.ts'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signIn, startTestTendon } from './test-tendon.fixture.ts'

let folder: string
let outside: EmbeddedPostgres
let provider: { issuer: string; server: Server; identityProvider: IdentityProvider }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tendon-one-by-one-'))
  provider = await startProvider()
  outside = await startEmbeddedPostgres({
    dataPath: join(folder, 'outside-postgres'),
    settings: { wal_level: 'logical' },
  })
  await Promise.all(['telemetry', 'crm', 'empty'].map((name) => outside.createDatabase(name)))
})
afterAll(async () => {
  await outside?.stop()
  provider?.server.close()
  await provider?.identityProvider.stop()
  await rm(folder, { recursive: true, force: true })
})

/** An identity provider that is not Tendon's own. */
async function startProvider() {
  const server = createServer((request, response) => void identityProvider.handler(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const issuer = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/real`
  const account = (clientId: string) => ({ clientId, clientSecret: 'secret', roles: ['report-invalidator'] })
  const identityProvider = createIdentityProvider({
    issuer,
    dataPath: join(folder, 'provider'),
    clients: [
      account('tendon-cdc'),
      account('tendon-etl'),
      {
        clientId: 'bff',
        clientSecret: 'secret',
        redirectUris: ['http://localhost/callback'],
        postLogoutRedirectUris: [],
      },
    ],
    people: [],
    log: createLog({ service: 'provider', level: 'fatal' }),
    demoPasswordsShown: false,
  })
  await identityProvider.start()
  return { issuer, server, identityProvider }
}

async function outsideDatabase<Result>(name: string, work: (client: pg.Client) => Promise<Result>) {
  const client = new pg.Client({ connectionString: outside.url(name) })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const provided = () => ({
  OIDC_ISSUER: provider.issuer,
  OIDC_BFF_SECRET: 'secret',
  OIDC_CDC_SECRET: 'secret',
  OIDC_ETL_SECRET: 'secret',
})
const little = { TENDON_DEMO_DAYS: '2' }

test('only the telemetry is attached: the demo CRM is there, and nothing is put into the telemetry', async () => {
  await outsideDatabase('telemetry', applyTelemetrySchema)
  // On an address of its own, where the process does not answer at 127.0.0.1 (macOS has only that one).
  const host = process.platform === 'linux' ? { HOST: '127.0.0.2' } : {}
  const env = { ...little, ...host, TELEMETRY_DATABASE_URL: outside.url('telemetry') }
  const tendon = await startTestTendon({ env })
  try {
    const alice = await signIn(tendon, 'alice')
    expect((await alice.report()).data.customer.full_name).toBe(demoPeople.alice.fullName)
    const { rows } = await outsideDatabase('telemetry', (client) =>
      client.query(`SELECT count(*)::int AS events, to_regclass('demo.loads') AS demo FROM telemetry_events`),
    )
    expect(rows).toEqual([{ events: 0, demo: null }])
    expect(await tendon.etl.runOnce()).toMatchObject({ state: 'succeeded' })

    // Those who run it find every service's figures in one place, which is not the public one.
    expect((await fetch(`${tendon.operationsUrl}/readyz`)).status).toBe(200)
    const metrics = await (await fetch(`${tendon.operationsUrl}/metrics`)).text()
    for (const service of ['bff', 'reports_service', 'cdc', 'etl', 'cdn']) {
      expect(metrics).toContain(`# HELP tendon_${service}_`)
    }
    const publicStatus = async (path: string) => (await fetch(new URL(path, tendon.url))).status
    expect(await publicStatus('/healthz')).toBe(200)
    expect(await publicStatus('/metrics')).toBe(404)
    expect(await publicStatus('/readyz')).toBe(404)
  } finally {
    await tendon.stop()
  }
})

test('only a real CRM is attached: public passwords open nothing, and a provider makes it work', async () => {
  await outsideDatabase('crm', async (client) => {
    await applyCrmSchema(client)
    await client.query(
      `INSERT INTO customers (id, full_name, email, date_of_birth, address, locale, time_zone)
       VALUES ($1, 'A real person', 'person@example.org', '1980-01-01', '{}', 'en-GB', 'Europe/London')`,
      [demoPeople.alice.customerId],
    )
  })
  const attached = { ...little, CRM_DATABASE_URL: outside.url('crm') }
  const noSignIn = { code: 'TENDON-EMBEDDED-004' }
  await expect(startTestTendon({ env: attached })).rejects.toMatchObject(noSignIn)
  // Asking for the demo data changes nothing: the CRM holds data of its own.
  const env = { ...attached, TENDON_DEMO_DATA: 'yes' }
  await expect(startTestTendon({ env })).rejects.toMatchObject(noSignIn)

  const tendon = await startTestTendon({ env: { ...attached, ...provided() } })
  try {
    expect(tendon.hasDemoLogins).toBe(false)
    const ownProvider = await fetch(new URL('/idp/.well-known/openid-configuration', tendon.url))
    expect(ownProvider.headers.get('content-type')).not.toContain('application/json')
    expect(await tendon.etl.runOnce()).toMatchObject({ state: 'succeeded' })
    expect(tendon.cdc.status()).toMatchObject({ state: 'streaming', problem: undefined })
  } finally {
    await tendon.stop()
  }
})

test('a provider that is none, and secrets that are wrong, end the start, each by its name', async () => {
  const failureOf = (env: Record<string, string>): Promise<Error> =>
    startTestTendon({ env: { ...provided(), ...env } }).then(
      () => expect.unreachable('it started'),
      (error) => error,
    )
  const nowhere = await failureOf({ OIDC_ISSUER: provider.issuer.replace('/real', '/other') })
  expect(nowhere).toMatchObject({ code: 'TENDON-EMBEDDED-007' })
  expect(nowhere.message).toMatch(/^OIDC_ISSUER: .*\/other cannot be used: .* answers 404$/)

  const secrets = { OIDC_BFF_SECRET: 'bff', OIDC_CDC_SECRET: 'secret', OIDC_ETL_SECRET: 'etl' }
  const refused = await failureOf(secrets)
  expect(refused).toMatchObject({ code: 'TENDON-EMBEDDED-007' })
  const variables = refused.message.split('\n').map((line) => line.split(':')[0])
  expect(variables).toEqual(['OIDC_BFF_SECRET', 'OIDC_ETL_SECRET'])
})

test('a CRM that cannot be followed ends the start, with what the feed says is wrong', async () => {
  const env = {
    ...little,
    ...provided(),
    CRM_DATABASE_URL: outside.url('empty'),
    TENDON_FEED_TIMEOUT_MS: '1500',
  }
  await expect(startTestTendon({ env })).rejects.toMatchObject({ code: 'TENDON-CDC-007' })
})
