import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

/** Why a run measures everything whose statistics are older than the runs say. */
export const statsWentBackReason = 'the statistics went back to an earlier state'

/**
 * The newest version in each table that runs write to, beside what their book says. Once the statistics were mended, what
 * had been written before counts no longer.
 */
const standingVersions = defineQuery({
  name: 'etl-standing-versions',
  sql: `
    WITH (
      SELECT maxIf(run_seq, rows_written + rows_deleted > 0 AND run_seq >= mended)
      FROM (
        SELECT run_seq, rows_written, rows_deleted, maxIf(run_seq, full_reason = {mended:String}) OVER () AS mended
        FROM reports.etl_runs FINAL
        WHERE state = 'succeeded'
      )
    ) AS written
    SELECT toUInt32(max(version)) AS newest, toBool(minIf(version, is_stats) < written) AS "haveStatsGoneBack"
    FROM (
      SELECT true AS is_stats, max(_version) AS version FROM reports.user_prosthesis_stats
      UNION ALL SELECT true, max(_version) FROM reports.stats_by_day
      UNION ALL SELECT true, max(_version) FROM reports.model_days
      UNION ALL SELECT false, max(_version) FROM reports.etl_ownership
      UNION ALL SELECT false, max(_version) FROM reports.etl_firmware
      UNION ALL SELECT false, max(_version) FROM reports.etl_quarantine
      UNION ALL SELECT false, max(_version) FROM reports.etl_unowned
      UNION ALL SELECT false, max(run_seq) FROM reports.etl_ownership_in_use
      UNION ALL (SELECT false, run_seq FROM reports.etl_invalidations ORDER BY run_seq DESC LIMIT 1)
    )`,
  params: z.object({ mended: z.string() }),
  row: z.object({ newest: z.int(), haveStatsGoneBack: z.boolean() }),
})

/**
 * How far the tables are, which ClickHouse may have got back from a backup, or lost, one without the other: a run takes its
 * number above all versions, or what it writes would not stand, and finds out whether the statistics lack what runs wrote.
 */
export async function readStandingVersions(
  warehouse: Warehouse,
): Promise<z.output<typeof standingVersions.row>> {
  const [row] = await warehouse.query(standingVersions, { mended: statsWentBackReason })
  return row!
}

/** Makes the copies of the statistics what these are. The views write what is written again; the version decides. */
export async function copyStatsAnew(warehouse: Warehouse): Promise<void> {
  await warehouse.command('TRUNCATE TABLE reports.stats_by_day')
  await warehouse.command('TRUNCATE TABLE reports.model_days')
  await warehouse.command(
    'INSERT INTO reports.user_prosthesis_stats SELECT * FROM reports.user_prosthesis_stats',
  )
}
