import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const seenFirmware = defineQuery({
  name: 'etl-seen-firmware',
  sql: `
    SELECT prosthesis_id AS "prosthesisId", since_day AS "sinceDay", firmware_version AS "firmwareVersion"
    FROM reports.etl_firmware FINAL
    ORDER BY prosthesis_id, since_day`,
  params: z.object({}),
  row: z.object({ prosthesisId: z.string(), sinceDay: z.int(), firmwareVersion: z.string() }),
})

/** Firmware that a run saw for the first time, and from which day on it counts. */
export type SeenFirmware = { prosthesisId: string; sinceDay: number; firmwareVersion: string }

export type FirmwareHistory = {
  /** Firmware of a prosthesis on a day; empty on days before a run looked. */
  on(prosthesisId: string, day: number): string
  /** What this run sees for the first time. */
  news: SeenFirmware[]
}

/**
 * Which firmware a prosthesis had on a day. The CRM only says which it has now, so each run notes what it sees change.
 * @param current prostheses with the firmware they have, and the day it is where their owners live
 */
export async function readFirmwareHistory(
  warehouse: Warehouse,
  current: readonly { prosthesisId: string; firmwareVersion: string; today: number }[],
): Promise<FirmwareHistory> {
  const seen = Map.groupBy(await warehouse.query(seenFirmware, {}), (row) => row.prosthesisId)
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
  }
}

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
