import type { Measures } from './measures.ts'

/** What the telemetry says of chips on days, as columns: element i of each array is one (chip, day). */
export type ChipDays = {
  length: number
  chipId: string[]
  /** Days since 1970-01-01, UTC. */
  day: Int32Array
  measures: Measures
}
