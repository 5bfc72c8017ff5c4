import type { Ownership } from '../crm/ownership.ts'
import { type MetricColumns, metricColumns, metrics } from './metrics.ts'

/** Rows of `reports.user_prosthesis_stats` as columns: element i of each belongs to row i. */
export type UserDays = {
  length: number
  userId: string[]
  prosthesisId: string[]
  /** Days since 1970-01-01, where the user lives. */
  day: Int32Array
  chipId: string[]
  modelId: Int32Array
  firmwareVersion: string[]
  metrics: MetricColumns
}

export type UserDaysBuilder = {
  /** Adds a row, whose metrics the caller has put into `values` in the order of the list of metrics. */
  append(owner: Ownership, day: number, firmwareVersion: string, values: Float64Array): void
  length(): number
  build(): UserDays
}

export function createUserDaysBuilder(): UserDaysBuilder {
  const owners: Ownership[] = []
  const days: number[] = []
  const firmware: string[] = []
  let columns = metrics.map(() => new Float64Array(1024))
  return {
    append(owner, day, firmwareVersion, values) {
      const row = owners.length
      if (row === columns[0]!.length) columns = columns.map(doubled)
      owners.push(owner)
      days.push(day)
      firmware.push(firmwareVersion)
      for (let i = 0; i < columns.length; i++) columns[i]![row] = values[i]!
    },
    length: () => owners.length,
    build() {
      const places = new Map(metrics.map(({ name }, place) => [name, place]))
      return {
        length: owners.length,
        userId: owners.map((owner) => owner.userId),
        prosthesisId: owners.map((owner) => owner.prosthesisId),
        day: Int32Array.from(days),
        chipId: owners.map((owner) => owner.chipId),
        modelId: Int32Array.from(owners, (owner) => owner.modelId),
        firmwareVersion: firmware,
        metrics: metricColumns(({ name }) => columns[places.get(name)!]!.subarray(0, owners.length)),
      }
    },
  }
}

function doubled(values: Float64Array): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(values.length * 2)
  grown.set(values)
  return grown
}

/** Some of the rows, whose numbers rise. */
export function takeUserDays(from: UserDays, rows: readonly number[]): UserDays {
  // All of them in their order: the callers ask for rising numbers.
  if (rows.length === from.length) return from
  return {
    length: rows.length,
    userId: rows.map((row) => from.userId[row]!),
    prosthesisId: rows.map((row) => from.prosthesisId[row]!),
    day: Int32Array.from(rows, (row) => from.day[row]!),
    chipId: rows.map((row) => from.chipId[row]!),
    modelId: Int32Array.from(rows, (row) => from.modelId[row]!),
    firmwareVersion: rows.map((row) => from.firmwareVersion[row]!),
    metrics: metricColumns(({ name }) => Float64Array.from(rows, (row) => from.metrics[name][row]!)),
  }
}

/** A row's values by their columns. */
export function valuesOf(rows: UserDays, row: number): Record<string, number | string | null> {
  const numbers = metrics.map(({ name }) => {
    const value = rows.metrics[name][row]!
    return [name, Number.isNaN(value) ? null : value] as const
  })
  return {
    chip_id: rows.chipId[row]!,
    model_id: rows.modelId[row]!,
    firmware_version: rows.firmwareVersion[row]!,
    ...Object.fromEntries(numbers),
  }
}
