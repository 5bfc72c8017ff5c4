import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { changePlacesSql } from '../kafka/message-views.ts'
import { chosenLetters, letterId } from './kept-letters.ts'

/** The change that each letter holds. A message's table, key and version stand in itself, a row's in the letter. */
const places = `
  SELECT ${letterId} AS id, table, key, version ${chosenLetters} AND encoding = 'json'
  UNION ALL
  SELECT id, table, key, version
  FROM (${changePlacesSql(`(SELECT topic, partition, offset, key, message AS value, '' AS error ${chosenLetters} AND encoding = 'kafka')`)}) AS changes
  JOIN (SELECT ${letterId} AS id, topic, partition, offset ${chosenLetters} AND encoding = 'kafka') AS letters
    USING (topic, partition, offset)`

const letterPlace = z.object({ table: z.string(), key: z.string(), version: z.string().transform(BigInt) })

export type LetterPlace = z.infer<typeof letterPlace>

const letterPlaces = defineQuery({
  name: 'dead-letters-places',
  sql: `SELECT table, key, toString(version) AS version FROM (${places})`,
  params: z.object({ ids: z.array(z.string()) }),
  row: letterPlace,
})

/** The changes that letters hold; a message that is still none has no place. */
export const readPlaces = (warehouse: Warehouse, ids: string[]): Promise<LetterPlace[]> =>
  warehouse.query(letterPlaces, { ids })

const writtenSince = `cdc.dead_letters FINAL WHERE failed_at >= toDateTime64({since:String}, 6, 'UTC')`

// A message that has become a change since, whose values do not fit, has another letter then.
const appliedPlaces = defineQuery({
  name: 'dead-letters-applied',
  sql: `
    SELECT table, key, toString(version) AS version FROM (${places}) AS tried
    WHERE id NOT IN (SELECT ${letterId} FROM ${writtenSince})
      AND (table, key, tried.version) NOT IN (SELECT table, key, version FROM ${writtenSince})`,
  params: z.object({ ids: z.array(z.string()), since: z.string() }),
  row: letterPlace,
})

/** Those of the changes that letters hold, of which none was written again since. */
export const readAppliedPlaces = (
  warehouse: Warehouse,
  ids: string[],
  since: string,
): Promise<LetterPlace[]> => warehouse.query(appliedPlaces, { ids, since })

const supersededLetters = defineQuery({
  name: 'dead-letters-superseded',
  sql: `
    WITH places AS (${places}),
      later_rows AS (
        SELECT table, key, max(version) AS newest FROM cdc.events
        WHERE (table, key) IN (SELECT table, key FROM places) GROUP BY table, key
      ),
      whole_tables AS (
        SELECT table, max(version) AS newest FROM (
          SELECT table, version FROM cdc.snapshots
          UNION ALL
          SELECT table, version FROM cdc.events WHERE table IN (SELECT table FROM places) AND key = '' AND op = 't'
        ) GROUP BY table
      )
    SELECT places.id AS id FROM places
    LEFT JOIN later_rows ON later_rows.table = places.table AND later_rows.key = places.key
    LEFT JOIN whole_tables ON whole_tables.table = places.table
    WHERE places.version < greatest(later_rows.newest, whole_tables.newest)`,
  params: z.object({ ids: z.array(z.string()) }),
  row: z.object({ id: z.string() }),
})

/**
 * Letters that a later change has superseded: of their row, or of their whole table. It may have left nothing in the
 * replica that would hide them, for what was never applied got no tombstone by a TRUNCATE, nor in a replica that was read
 * whole since.
 */
export async function readSuperseded(warehouse: Warehouse, ids: string[]): Promise<Set<string>> {
  const rows = await warehouse.query(supersededLetters, { ids })
  return new Set(rows.map(({ id }) => id))
}
