import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { type CrmView, type ReadCrm, unknownModels } from '../crm/crm.ts'
import { type FirmwareHistory, firmwareHistory, readSeenFirmware } from '../crm/firmware-history.ts'
import { indexOwnership, type OwnershipInTime, type Problem } from '../crm/ownership.ts'
import { compareOwnership, type OwnershipChanges, readStandingOwnership } from '../crm/standing-ownership.ts'
import { type ChipMeasurer, createChipMeasurer } from '../measure/chip-measurer.ts'
import type { Days } from '../measure/scope.ts'
import type { ReadingConfig } from '../options.ts'
import { readSourceTraits } from '../telemetry/source-traits.ts'
import { openTelemetryView, type TelemetryView, type TimeBounds } from '../telemetry/telemetry.ts'
import { dayUs, parseDay } from '../time/instants.ts'
import { createTimeZones, type TimeZone } from '../time/time-zones.ts'
import { allEnded } from './all-ended.ts'
import type { EtlRun } from './run-records.ts'

/** Everything that numbers are made from, as it stood at one moment. */
export type Extraction = {
  crm: CrmView
  ownership: OwnershipInTime
  changes: OwnershipChanges
  firmware: FirmwareHistory
  view: TelemetryView
  /** The days that are measured, wherever their owners live. */
  days: Days
  /** Times that may be in one of them. */
  bounds: TimeBounds
  /** Times that are, wherever the owner lives. */
  certain: TimeBounds
  zoneOf: (name: string) => TimeZone | undefined
  /** Those by which the days are cut. */
  zones: readonly TimeZone[]
  defaultZone: TimeZone
  problems: Problem[]
  createMeasurer(): ChipMeasurer
}

/** How far a day of telemetry may lie ahead of the database's clock: the zones' 14 hours, and clocks that are fast. */
const aheadDays = 2

/** Opens the telemetry as it stands now. */
export async function openView(
  client: pg.Client,
  { workMem }: Pick<ReadingConfig, 'workMem'>,
): Promise<TelemetryView> {
  return openTelemetryView(client, await readSourceTraits(client), workMem)
}

/** Which times and days are measured. */
export function timesOf(
  { takenAtUs }: Pick<TelemetryView, 'takenAtUs'>,
  { firstDay }: Pick<ReadingConfig, 'firstDay'>,
): Pick<Extraction, 'days' | 'bounds' | 'certain'> {
  const fromDay = parseDay(firstDay)
  const toDay = Math.floor(takenAtUs / dayUs) + aheadDays
  // Where owners live, days begin at most a day before UTC's, or after it.
  return {
    days: { fromDay, toDay },
    bounds: { fromUs: (fromDay - 1) * dayUs, toUs: (toDay + 2) * dayUs },
    certain: { fromUs: (fromDay + 1) * dayUs, toUs: toDay * dayUs },
  }
}

/**
 * Reads the CRM while the telemetry is opened, each on a snapshot of its own.
 * @param parts.last the last run that succeeded
 */
export async function readExtraction(
  parts: {
    warehouse: Warehouse
    readCrm: ReadCrm
    config: Pick<ReadingConfig, 'timeZone' | 'firstDay'>
    last: Pick<EtlRun, 'run_seq'> | undefined
  },
  opening: Promise<TelemetryView>,
): Promise<Extraction> {
  const { warehouse, readCrm, config } = parts
  const lastSeq = parts.last?.run_seq ?? 0
  const zoneOf = createTimeZones()
  const defaultZone = zoneOf(config.timeZone)!
  const [crm, before, seenFirmware, view] = await allEnded([
    readCrm(),
    readStandingOwnership(warehouse, lastSeq),
    readSeenFirmware(warehouse),
    opening,
  ])
  const ownership = indexOwnership(crm.prostheses, zoneOf, defaultZone)
  const firmware = firmwareHistory(
    seenFirmware,
    lastSeq,
    crm.prostheses.map(({ prosthesisId, firmwareVersion, timeZone }) => ({
      prosthesisId,
      firmwareVersion,
      today: (zoneOf(timeZone) ?? defaultZone).dayOf(view.takenAtUs),
    })),
  )
  return {
    ...timesOf(view, config),
    crm,
    ownership,
    changes: compareOwnership(crm.prostheses, before),
    firmware,
    view,
    zoneOf,
    zones: [...new Set([defaultZone, ...crm.prostheses.map((row) => zoneOf(row.timeZone) ?? defaultZone)])],
    defaultZone,
    problems: [...ownership.problems, ...unknownModels(crm)],
    createMeasurer: () => createChipMeasurer(ownership, firmware.on),
  }
}
