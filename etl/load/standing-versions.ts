import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

/** Why a run measures everything when ClickHouse lacks what former runs say that they wrote. */
export const lossReason = 'ClickHouse has lost some of what runs have written'

/**
 * The newest version in each table that runs write to, beside that of the last run that wrote there. After a run for that
 * reason what had been written before it counts no longer.
 */
const standingVersions = defineQuery({
  name: 'etl-standing-versions',
  sql: `
    WITH
      (
        SELECT maxIf(run_seq, full_reason = {loss:String}) FROM reports.etl_runs FINAL WHERE state = 'succeeded'
      ) AS mended,
      (
        SELECT maxIf(run_seq, rows_written + rows_deleted > 0)
        FROM reports.etl_runs FINAL
        WHERE state = 'succeeded' AND run_seq >= mended
      ) AS stats_written,
      (
        SELECT max(run_seq)
        FROM reports.etl_ownership_in_use
        WHERE run_seq >= mended
          AND run_seq IN (SELECT run_seq FROM reports.etl_runs FINAL WHERE state = 'succeeded' AND kind = 'run')
      ) AS ownership_written
    SELECT toUInt32(max(version)) AS newest, toBool(countIf(version < written) > 0) AS "hasLoss"
    FROM (
      SELECT max(_version) AS version, stats_written AS written FROM reports.user_prosthesis_stats
      UNION ALL SELECT max(_version), stats_written FROM reports.stats_by_day
      UNION ALL SELECT max(_version), stats_written FROM reports.model_days
      UNION ALL SELECT max(_version), ownership_written FROM reports.etl_ownership
      UNION ALL SELECT max(_version), 0 FROM reports.etl_firmware
      UNION ALL SELECT max(_version), 0 FROM reports.etl_quarantine
      UNION ALL SELECT max(_version), 0 FROM reports.etl_unowned
      UNION ALL SELECT max(run_seq), 0 FROM reports.etl_ownership_in_use
      UNION ALL (SELECT run_seq, 0 FROM reports.etl_invalidations ORDER BY run_seq DESC LIMIT 1)
    )`,
  params: z.object({ loss: z.string() }),
  row: z.object({ newest: z.int(), hasLoss: z.boolean() }),
})

/**
 * How far the tables are, which ClickHouse may have got back from a backup, or lost, one without the other: a run takes its
 * number above all versions, or what it writes would not stand, and finds out whether something is lost.
 */
export async function readStandingVersions(
  warehouse: Warehouse,
): Promise<z.output<typeof standingVersions.row>> {
  const [row] = await warehouse.query(standingVersions, { loss: lossReason })
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
