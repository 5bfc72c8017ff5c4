import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

/** How far a feed has come, and in which history of the source. */
export type Position = {
  /** Everything committed below it is stored, and its users are invalidated. */
  lsn: bigint
  /** Newest change that can be read in `crm.*`; ahead of `lsn` while its users are being invalidated. */
  version: bigint
  /** A change below it belongs to a transaction that is whole in `crm.*`; no transaction lies on both sides of it. */
  wholeBefore: bigint
  /** When the source committed it, in microseconds since 1970. */
  committedAt: bigint
  history: SourceHistory
}

/** One line of WAL. Within it LSNs only rise; from one to the next they may fall. */
export type SourceHistory = {
  systemIdentifier: string
  timeline: number
  /** Added to LSNs in versions, so that versions rise from history to history. */
  versionOffset: bigint
}

const bigint = z.string().transform(BigInt)

const storedPosition = defineQuery({
  name: 'stored-position',
  sql: `
    SELECT lsn, version, whole_before, toUnixTimestamp64Micro(committed_at) AS committed_at, system_identifier, timeline,
      version_offset
    FROM cdc.positions FINAL
    WHERE feed = {feed:String}`,
  params: z.object({ feed: z.string() }),
  row: z.object({
    lsn: bigint,
    version: bigint,
    whole_before: bigint,
    committed_at: bigint,
    system_identifier: z.string(),
    timeline: z.int(),
    version_offset: bigint,
  }),
})

const newestVersion = defineQuery({
  name: 'newest-version',
  sql: 'SELECT greatest((SELECT max(version) FROM cdc.events), (SELECT max(version) FROM cdc.positions)) AS version',
  params: z.object({}),
  row: z.object({ version: bigint }),
})

/** @param feed name of its replication slot */
export async function readPosition(warehouse: Warehouse, feed: string): Promise<Position | undefined> {
  const [row] = await warehouse.query(storedPosition, { feed })
  return (
    row && {
      lsn: row.lsn,
      version: row.version,
      wholeBefore: row.whole_before,
      committedAt: row.committed_at,
      history: {
        systemIdentifier: row.system_identifier,
        timeline: row.timeline,
        versionOffset: row.version_offset,
      },
    }
  )
}

/** Of several, the highest counts: a feed that died late cannot set the position back. */
export async function writePosition(warehouse: Warehouse, feed: string, position: Position): Promise<void> {
  const { lsn, version, wholeBefore, committedAt, history } = position
  await warehouse.insertRows('cdc.positions', [
    {
      feed,
      position: (lsn + history.versionOffset).toString(),
      lsn: lsn.toString(),
      version: version.toString(),
      whole_before: wholeBefore.toString(),
      committed_at: isoTime(committedAt),
      system_identifier: history.systemIdentifier,
      timeline: history.timeline,
      version_offset: history.versionOffset.toString(),
    },
  ])
}

/** The highest version that any row of the warehouse can have; 0 when it is empty. */
export async function readNewestVersion(warehouse: Warehouse): Promise<bigint> {
  const [row] = await warehouse.query(newestVersion, {})
  return row?.version ?? 0n
}

const loggedVersion = defineQuery({
  name: 'logged-version',
  sql: 'SELECT 1 AS one FROM cdc.events WHERE version = {version:UInt128} LIMIT 1',
  params: z.object({ version: z.bigint() }),
  row: z.object({ one: z.int() }),
})

/** Whether a change is in the log. */
export async function isLogged(warehouse: Warehouse, version: bigint): Promise<boolean> {
  return (await warehouse.query(loggedVersion, { version })).length > 0
}

/** `2026-01-02T03:04:05.678901Z` from microseconds since 1970. */
export function isoTime(micros: bigint): string {
  const millis = micros / 1000n
  return `${new Date(Number(millis)).toISOString().slice(0, -1)}${String(micros % 1000n).padStart(3, '0')}Z`
}
