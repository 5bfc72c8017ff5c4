import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { z } from 'zod'
import { pgTableName } from '../derive/sql-names.ts'
import { longestPageHeaderBytes, parseLsn } from './lsn.ts'
import { rowsOf } from './rows-of.ts'

/** What one moment of the source has seen: a transaction of its own that reads nothing else. */
export type SourceSnapshot = {
  /** The transaction's connection; whoever opened it ends it. */
  client: pg.Client
  /** The first transaction that had no id yet (64 bits: epoch and xid). */
  xmax: bigint
  /** Those before it that were running. */
  running: bigint[]
  /** Where the WAL ended before the snapshot was taken. */
  lsnBefore: bigint
  /** Everything that the snapshot has seen was committed below it. */
  lsnAfter: bigint
  /** When, by the source's clock, in microseconds since 1970. */
  takenAt: bigint
}

const insertEnd = z.object({ lsn: z.string(), micros: z.string() })

const insertEndSql = `
SELECT pg_current_wal_insert_lsn()::text AS lsn, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS micros`

const snapshotRow = z.object({ xmax: z.string(), running: z.array(z.string()) })

const snapshotSql = `
SELECT pg_snapshot_xmax(s)::text AS xmax,
  ARRAY(SELECT pg_snapshot_xip(s)::text) AS running
FROM pg_current_snapshot() AS s`

/** A session that is to read a table. */
export type Reader = { query(sql: string): Promise<unknown> }

const beginSql = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'

/**
 * Begins a reader's transaction, and keeps the table from being truncated or rewritten until its end: those who had
 * not read it before would find it empty (docs, "Caveats" of "Concurrency Control"). What it sees is settled by the
 * statement after it (docs, "LOCK").
 *
 * Whoever reads the table takes this lock, and no other session of ours does: an ALTER that comes between two of ours
 * waits for the first and keeps the second waiting, and PostgreSQL does not know that the first waits for the second.
 */
async function beginReading(reader: Reader, table: { schema: string; name: string }): Promise<void> {
  await reader.query(beginSql)
  await reader.query(`LOCK TABLE ${pgTableName(table)} IN ACCESS SHARE MODE`)
}

/**
 * Begins a transaction that sees one moment of the source until it ends.
 * @param reader the session that will read the table, at `client`'s moment: itself, or one that is given its snapshot
 */
export async function openSnapshot(
  client: pg.Client,
  reader: Reader,
  table: { schema: string; name: string },
): Promise<SourceSnapshot> {
  const [before] = await rowsOf(client, insertEnd, insertEndSql)
  await beginReading(reader, table)
  if (reader !== client) await client.query(beginSql)
  const [snapshot] = await rowsOf(client, snapshotRow, snapshotSql)
  const [after] = await rowsOf(client, insertEnd, insertEndSql)
  return {
    client,
    xmax: BigInt(snapshot!.xmax),
    running: snapshot!.running.map(BigInt),
    lsnBefore: parseLsn(before!.lsn),
    lsnAfter: await flushedEnd(client, reachable(parseLsn(after!.lsn))),
    takenAt: BigInt(after!.micros),
  }
}

const walPageBytes = 8192n

/**
 * The insert position, which counts what is committed but not flushed yet (synchronous_commit = off). At the start
 * of a page it stands behind the page's header, where nobody else's position comes to before the next record.
 */
function reachable(insertLsn: bigint): bigint {
  const intoPage = insertLsn % walPageBytes
  return intoPage <= longestPageHeaderBytes ? insertLsn - intoPage : insertLsn
}

const flushed = z.object({ lsn: z.string(), writer_delay_ms: z.coerce.number() })

const flushedSql = `
SELECT pg_current_wal_flush_lsn()::text AS lsn, setting AS writer_delay_ms FROM pg_settings WHERE name = 'wal_writer_delay'`

const pollIntervalMs = 20

/**
 * Where the WAL is flushed to, once all commits before its end are: a transaction that does not wait for that
 * (synchronous_commit = off) is flushed within three times wal_writer_delay (docs, "Asynchronous Commit"). What still
 * lies behind it then, as the cleaning of a page, may stay unflushed, and out of every feed's sight, for long.
 */
async function flushedEnd(client: pg.Client, end: bigint): Promise<bigint> {
  const startedAt = performance.now()
  for (;;) {
    const [row] = await rowsOf(client, flushed, flushedSql)
    const lsn = parseLsn(row!.lsn)
    if (lsn >= end) return end
    if (performance.now() - startedAt > 3 * row!.writer_delay_ms + pollIntervalMs) return lsn
    await delay(pollIntervalMs)
  }
}

export async function endSnapshot({ client }: SourceSnapshot): Promise<void> {
  await client.query('COMMIT')
}
