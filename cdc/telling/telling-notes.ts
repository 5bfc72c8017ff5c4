import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'

/** What a worker has found that tells whose reports have changed. */
export type TellingNote = {
  /** A UUID for each life of a worker. */
  worker: string
  /** Whose ids are meant; empty for what the worker waits for. */
  table: string
  /** Empty once it is over. */
  code: string
  detail: string
}

export async function writeNote(warehouse: Warehouse, feed: string, note: TellingNote): Promise<void> {
  await warehouse.insertRows('cdc.telling_notes', [{ feed, ...note }])
}

/** A worker that waits notes it again every few seconds; one that has died does not, and waits for nothing any more. */
const notes = defineQuery({
  name: 'telling-notes',
  sql: `
    SELECT code, argMax(detail, noted_at) AS detail
    FROM cdc.telling_notes FINAL
    WHERE feed = {feed:String} AND code != ''
      AND noted_at > now64(6) - if(table = '', toIntervalMinute(1), toIntervalDay(1))
    GROUP BY table, code
    ORDER BY table, code`,
  params: z.object({ feed: z.string() }),
  row: z.object({ code: z.string(), detail: z.string() }),
})

/** What keeps the workers of a feed from telling, and ids of the last day that no user has. */
export async function readTellingProblems(warehouse: Warehouse, feed: string): Promise<TendonError[]> {
  const factories = Object.values(cdcErrors)
  return (await warehouse.query(notes, { feed })).map(({ code, detail }) => {
    const known = factories.find((factory) => factory.code === code) ?? cdcErrors.tellingFails
    return known(detail)
  })
}

/** A sentence for who waits for a feed to get on; empty when it is not telling that keeps it. */
export async function whatKeepsTelling(warehouse: Warehouse, feed: string): Promise<string> {
  const problems = await readTellingProblems(warehouse, feed)
  const [problem] = problems.filter(({ code }) => code !== cdcErrors.strayUserIds.code)
  return problem ? ` It cannot tell whose reports have changed (${problem.code}): ${problem.message}` : ''
}

/** What was found by a SELECT that is another one from now on. */
export async function forgetNotes(warehouse: Warehouse, table: string): Promise<void> {
  await warehouse.command(
    'ALTER TABLE cdc.telling_notes DELETE WHERE table = {table:String} SETTINGS mutations_sync = 2',
    { table },
  )
}
