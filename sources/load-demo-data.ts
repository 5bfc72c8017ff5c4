import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { ClientBase } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { z } from 'zod'
import { applyCrmSchema, applyTelemetrySchema } from './apply-schema.ts'
import { type DemoSeed, type DemoVolume, fullVolume, generateDemoCrm } from './demo-crm.ts'
import { generateDemoTelemetry, type TelemetryProgress } from './demo-telemetry.ts'
import { inTransaction } from './in-transaction.ts'
import { insertDemoCrm } from './insert-demo-crm.ts'
import { telemetryCopySql } from './telemetry-copy.ts'
import { dayOf, dayText } from './utc-days.ts'

/** `foreign`: the database holds data that is not the demo's, and was left as it is. */
export type DemoLoadOutcome = 'loaded' | 'already loaded' | 'foreign'
/** `left alone`: no address of it was given. */
export type DemoTelemetryOutcome = DemoLoadOutcome | 'left alone'

/** In a schema of its own in each of the two databases: written in the transaction that loads the data. */
const markerTableSql = `
  CREATE SCHEMA IF NOT EXISTS demo;
  CREATE TABLE IF NOT EXISTS demo.loads (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seed      integer NOT NULL,
    today     timestamptz NOT NULL,
    volume    jsonb NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now()
  );
  COMMENT ON TABLE demo.loads IS 'That the demo data was loaded, and what it is a function of.'`
const readMarkerSql = 'SELECT seed, today, volume FROM demo.loads'
const writeMarkerSql = 'INSERT INTO demo.loads (seed, today, volume) VALUES ($1, $2, $3)'
/** Two loaders at once: the second waits and then finds the marker. */
const lockSql = `SELECT pg_advisory_xact_lock(hashtext('tendon demo data'))`

const marker = z.object({
  seed: z.number(),
  today: z.date(),
  volume: z.object({ customers: z.number(), prostheses: z.number(), days: z.number() }),
})

const demoSeed = 20

/**
 * Creates the two schemas and fills them with the demo data, once: each database in one transaction with a mark
 * in it, so a load that was killed half way is done again. Telemetry is made for the CRM that is there, also
 * when that was loaded by an earlier attempt.
 * @param telemetryUrl without it only the CRM is filled
 * @param today the last instant of the data; its UTC day is the last one
 * @param onProgress after each day of telemetry
 * @param signal gives up, leaving a database as it was or filled
 */
export async function loadDemoData(options: {
  crmUrl: string
  telemetryUrl?: string | undefined
  today: Date
  seed?: number
  volume?: DemoVolume
  log: Log
  onProgress?: (progress: TelemetryProgress) => void
  signal?: AbortSignal
}): Promise<{ crm: DemoLoadOutcome; telemetry: DemoTelemetryOutcome; telemetryRows: number }> {
  const { log, crmUrl, telemetryUrl, signal } = options
  const wanted = {
    seed: options.seed ?? demoSeed,
    today: options.today,
    volume: options.volume ?? fullVolume,
  }
  const crm = await inTransaction(crmUrl, (client) => loadCrm(client, wanted), signal)
  if (crm.outcome === 'foreign') {
    log.warn('the CRM database holds data of its own: no demo data loaded')
    return { crm: 'foreign', telemetry: 'foreign', telemetryRows: 0 }
  }
  if (telemetryUrl === undefined) return { crm: crm.outcome, telemetry: 'left alone', telemetryRows: 0 }
  const startedMs = performance.now()
  const telemetry = await inTransaction(
    telemetryUrl,
    (client) => loadTelemetry(client, crm.seed, options.onProgress),
    signal,
  )
  if (telemetry.outcome === 'foreign') {
    log.warn('the telemetry database holds data of its own: no demo telemetry loaded')
  }
  const durationMs = Math.round(performance.now() - startedMs)
  log.info(
    { crm: crm.outcome, telemetry: telemetry.outcome, rows: telemetry.rows, duration_ms: durationMs },
    'demo data is there',
  )
  return { crm: crm.outcome, telemetry: telemetry.outcome, telemetryRows: telemetry.rows }
}

async function loadCrm(
  client: ClientBase,
  wanted: DemoSeed,
): Promise<{ outcome: DemoLoadOutcome; seed: DemoSeed }> {
  await client.query(lockSql)
  await applyCrmSchema(client)
  const loaded = await findMarker(client)
  if (loaded !== undefined) return { outcome: 'already loaded', seed: loaded }
  const { rowCount } = await client.query('SELECT FROM customers LIMIT 1')
  if (rowCount !== 0) return { outcome: 'foreign', seed: wanted }
  await insertDemoCrm(client, generateDemoCrm(wanted))
  await writeMarker(client, wanted)
  return { outcome: 'loaded', seed: wanted }
}

async function loadTelemetry(
  client: ClientBase,
  seed: DemoSeed,
  onProgress?: (progress: TelemetryProgress) => void,
): Promise<{ outcome: DemoLoadOutcome; rows: number }> {
  await client.query(lockSql)
  await applyTelemetrySchema(client)
  if ((await findMarker(client)) !== undefined) return { outcome: 'already loaded', rows: 0 }
  const { rowCount } = await client.query('SELECT FROM telemetry_events LIMIT 1')
  if (rowCount !== 0) return { outcome: 'foreign', rows: 0 }

  // Indexes built at the end instead of row by row: 4.1 s instead of 5.5 s for 1.35 million rows.
  await client.query('DROP INDEX telemetry_events_ingest_xid, telemetry_events_chip_id_recorded_at')
  const lastDay = dayOf(seed.today)
  await client.query('SELECT ensure_telemetry_partitions($1, $2)', [
    dayText(lastDay - seed.volume.days + 1),
    dayText(lastDay + 2),
  ])
  let rows = 0
  const telemetry = generateDemoTelemetry(generateDemoCrm(seed), seed, (progress) => {
    rows = progress.rows
    onProgress?.(progress)
  })
  await pipeline(Readable.from(telemetry), client.query(copyFrom(telemetryCopySql)))
  await applyTelemetrySchema(client)
  await writeMarker(client, seed)
  return { outcome: 'loaded', rows }
}

async function findMarker(client: ClientBase): Promise<DemoSeed | undefined> {
  await client.query(markerTableSql)
  const { rows } = await client.query(readMarkerSql)
  return rows[0] === undefined ? undefined : marker.parse(rows[0])
}

async function writeMarker(client: ClientBase, { seed, today, volume }: DemoSeed): Promise<void> {
  await client.query(writeMarkerSql, [seed, today, JSON.stringify(volume)])
}
