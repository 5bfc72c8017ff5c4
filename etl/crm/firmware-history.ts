import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const seenFirmware = defineQuery({
  name: 'etl-seen-firmware',
  sql: `
    SELECT
      prosthesis_id AS "prosthesisId",
      since_day AS "sinceDay",
      firmware_version AS "firmwareVersion",
      toUInt32(_version) AS "runSeq"
    FROM reports.etl_firmware FINAL
    ORDER BY prosthesis_id, since_day`,
  params: z.object({}),
  row: z.object({
    prosthesisId: z.string(),
    sinceDay: z.int(),
    firmwareVersion: z.string(),
    runSeq: z.int(),
  }),
})

/** Firmware that a run saw for the first time, and from which day on it counts. */
export type SeenFirmware = { prosthesisId: string; sinceDay: number; firmwareVersion: string }

export type FirmwareHistory = {
  /** Firmware of a prosthesis on a day; empty on days before a run looked. */
  on(prosthesisId: string, day: number): string
  /** What this run sees for the first time. */
  news: SeenFirmware[]
  /** That, and what all have seen since the last run that succeeded: their rows of that day may say something else. */
  unsettled: SeenFirmware[]
}

/** What runs have seen. */
export async function readSeenFirmware(warehouse: Warehouse): Promise<z.output<typeof seenFirmware.row>[]> {
  return warehouse.query(seenFirmware, {})
}

/**
 * Which firmware a prosthesis had on a day. The CRM only says which it has now, so each run notes what it sees change.
 * @param lastSeq number of the last run that succeeded
 * @param current prostheses with the firmware they have, and the day it is where their owners live
 */
export function firmwareHistory(
  rows: Awaited<ReturnType<typeof readSeenFirmware>>,
  lastSeq: number,
  current: readonly { prosthesisId: string; firmwareVersion: string; today: number }[],
): FirmwareHistory {
  const seen: Map<string, SeenFirmware[]> = Map.groupBy(rows, (row) => row.prosthesisId)
  const currentIds = new Set(current.map(({ prosthesisId }) => prosthesisId))
  const unsettled = rows.filter((row) => row.runSeq > lastSeq && currentIds.has(row.prosthesisId))
  const news: SeenFirmware[] = []
  for (const { prosthesisId, firmwareVersion, today } of current) {
    const history = seen.get(prosthesisId) ?? []
    if (history.at(-1)?.firmwareVersion === firmwareVersion) continue
    // A day has one firmware, the last that was seen on it.
    const sinceDay = Math.max(today, history.at(-1)?.sinceDay ?? today)
    const change = { prosthesisId, sinceDay, firmwareVersion }
    news.push(change)
    seen.set(prosthesisId, [...history.filter((entry) => entry.sinceDay < sinceDay), change])
  }
  // A prosthesis is asked for day by day.
  let lastId: string | undefined
  let history: SeenFirmware[] | undefined
  return {
    on(prosthesisId, day) {
      if (prosthesisId !== lastId) history = seen.get(prosthesisId)
      lastId = prosthesisId
      for (let i = (history?.length ?? 0) - 1; i >= 0; i--) {
        if (history![i]!.sinceDay <= day) return history![i]!.firmwareVersion
      }
      return ''
    },
    news,
    unsettled: [...unsettled, ...news],
  }
}

/** Notes what a run sees, before it loads anything by it. */
export async function keepFirmware(
  warehouse: Warehouse,
  news: readonly SeenFirmware[],
  version: number,
): Promise<void> {
  if (news.length === 0) return
  await warehouse.insertRows(
    'reports.etl_firmware',
    news.map(({ prosthesisId, sinceDay, firmwareVersion }) => ({
      prosthesis_id: prosthesisId,
      since_day: sinceDay,
      firmware_version: firmwareVersion,
      _version: version,
    })),
  )
}
