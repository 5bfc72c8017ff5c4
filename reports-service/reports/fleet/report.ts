import { readFile } from 'node:fs/promises'
import { fleet, fleetRow, lastZone } from '@tendon/contracts/fleet.ts'
import { reportAdminRole } from '@tendon/contracts/roles.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { customerDay, defineFleetReport } from '../../declarations/report.ts'

const sql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')
const day = customerDay.pick({ date: true })

const weeksQuery = defineQuery({
  name: 'fleet/weeks',
  sql: await sql('weeks.sql'),
  params: day.extend({ from: z.iso.date() }),
  row: fleetRow,
})

const devicesQuery = defineQuery({
  name: 'fleet/devices',
  sql: await sql('devices.sql'),
  params: day.extend({ fewest_events: z.int(), limit: z.int() }),
  row: fleet.shape.worst_devices.element,
})

const totalsQuery = defineQuery({
  name: 'fleet/totals',
  sql: await sql('totals.sql'),
  params: day,
  row: fleet.pick({ prostheses: true, events: true, errors: true, error_rate: true }),
})

const daysQuery = defineQuery({
  name: 'fleet/days',
  sql: await sql('days.sql'),
  params: z.object({ last_zone: z.string() }),
  row: z.object({ from: z.iso.date(), to: z.iso.date(), latest: z.iso.date() }),
})

const dayMs = 86_400_000
const weeks = 12

/** For staff: error rates by model, firmware and week, and the devices that do worst. */
export const report = defineFleetReport({
  name: 'fleet',
  title: 'The fleet, week by week',
  readers: [reportAdminRole],
  // Devices are joined with the CRM, of which no change makes it anew.
  generationCovers: ['etl'],
  ttlMs: 24 * 3_600_000,
  parameters: z.strictObject({}),
  units: { prostheses: 'count', events: 'count', errors: 'count', error_rate: 'errors per event' },
  data: fleet,
  row: fleetRow,

  async days(read) {
    const [days] = await read(daysQuery, { last_zone: lastZone })
    return days
  },

  async compute(read, { date }) {
    const from = firstMonday(date)
    const [rows, worst_devices, [totals]] = await Promise.all([
      read(weeksQuery, { date, from }),
      read(devicesQuery, { date, fewest_events: 100, limit: 20 }),
      read(totalsQuery, { date }),
    ])
    return { data: { from, ...totals!, worst_devices }, rows }
  },
})

/** Eleven weeks before the Monday of the report's week. */
function firstMonday(date: string): string {
  const atMs = Date.parse(date)
  const daysSinceMonday = (new Date(atMs).getUTCDay() + 6) % 7
  return new Date(atMs - (daysSinceMonday + 7 * (weeks - 1)) * dayMs).toISOString().slice(0, 10)
}
