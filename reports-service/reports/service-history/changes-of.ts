import type { ServiceHistoryRow } from '@tendon/contracts/service-history.ts'
import { z } from 'zod'

/** An event of the log, as far as this report reads it. */
export type LoggedChange = {
  key: string
  op: string
  deleted: number
  /** The row after the change as JSON, as Debezium writes it unwrapped. */
  row: string
  committed_at: string
}

/** What a customer may want to know of; whatever else a row has (whose it is, the feed's own fields) is left out. */
const fields = [
  'serial_number',
  'model_id',
  'side',
  'firmware_version',
  'chip_id',
  'issued_at',
  'returned_at',
] as const

const loggedRow = z.looseObject({ customer_id: z.string().toLowerCase().optional() })
const loggedKey = z.object({ id: z.guid() })
const settings = z.record(z.string(), z.unknown())

/** What Debezium sends for a value out of line that an UPDATE left alone. */
const unavailable = '__debezium_unavailable_value'

type Values = Map<string, string | null>
type Known = { values: Values; isTheirs: boolean }

/**
 * The changes between the versions of each prosthesis, newest first, as far as it was this customer's: what happened
 * to it before or after is somebody else's.
 *
 * The log forgets: what it begins with is told as `recorded` only when it says so itself. Anything else was theirs before
 * already, and its beginning is cut off.
 * @param log oldest first
 * @param options.isCut whether more came before
 * @param options.modelNames by id; a model that is not known is told by its id
 */
export function changesOf(
  log: readonly LoggedChange[],
  options: { userId: string; isCut: boolean; modelNames: ReadonlyMap<number, string> },
): { rows: ServiceHistoryRow[]; isCut: boolean } {
  const { userId, modelNames } = options
  let { isCut } = options
  const known = new Map<string, Known>()
  const found: ServiceHistoryRow[] = []

  for (const event of log) {
    const before = known.get(event.key)
    const row = event.deleted ? {} : loggedRow.parse(JSON.parse(event.row))
    const isTheirs = !event.deleted && row.customer_id === userId
    const values = event.deleted ? new Map() : valuesOf(row, before?.values, modelNames)
    known.set(event.key, { values, isTheirs })
    if (!isTheirs && !before?.isTheirs) continue
    const about = {
      changed_at: event.committed_at,
      prosthesis_id: loggedKey.parse(JSON.parse(event.key)).id,
      serial_number: (isTheirs ? values : before!.values).get('serial_number') ?? '',
    }
    // A snapshot reads what may have been there for long; it is the beginning only if nothing came before it.
    const isBeginning = before !== undefined || event.op === 'c' || (event.op === 'r' && !options.isCut)
    if (!isBeginning) isCut = true
    else if (!before?.isTheirs)
      found.push({ ...about, change: 'recorded', field: null, before: null, after: null })
    else if (!isTheirs) found.push({ ...about, change: 'removed', field: null, before: null, after: null })
    else {
      for (const field of new Set([...before.values.keys(), ...values.keys()])) {
        const [was, is] = [before.values.get(field) ?? null, values.get(field) ?? null]
        if (was !== is) found.push({ ...about, change: 'changed', field, before: was, after: is })
      }
    }
  }
  return { rows: found.reverse(), isCut }
}

/** Each field's value as text, the settings one by one. */
function valuesOf(
  row: Record<string, unknown>,
  before: Values | undefined,
  modelNames: ReadonlyMap<number, string>,
): Values {
  const values: Values = new Map()
  for (const field of fields) {
    const value = row[field]
    if (value === unavailable) values.set(field, before?.get(field) ?? null)
    else if (field === 'model_id') values.set('model', modelNames.get(Number(value)) ?? String(value))
    else values.set(field, textOf(value))
  }
  if (row.settings === unavailable) {
    for (const [field, value] of before ?? []) if (field.startsWith('settings.')) values.set(field, value)
  } else {
    for (const [name, value] of Object.entries(settingsOf(row.settings))) {
      values.set(`settings.${name}`, textOf(value))
    }
  }
  return values
}

/** A jsonb column is an object, or its text: Debezium sends text. */
function settingsOf(value: unknown): Record<string, unknown> {
  const parsed = settings.safeParse(typeof value === 'string' ? JSON.parse(value || '{}') : value)
  return parsed.data ?? {}
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  // Debezium's ISO date carries a zone: 2026-01-31Z.
  if (typeof value === 'string') return value.replace(/^(\d{4}-\d{2}-\d{2})Z$/, '$1')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
