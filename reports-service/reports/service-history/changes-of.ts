import type { ServiceHistoryRow } from '@tendon/contracts/service-history.ts'
import { z } from 'zod'

/** When something was committed: its place in commit order, and the day where the customer lives. */
type Committed = { version: string; committed_at: string; day: string }

/** An event of the log, as far as this report reads it. */
export type LoggedChange = Committed & {
  key: string
  op: string
  deleted: number
  /** The row after the change as JSON, as Debezium writes it unwrapped. */
  row: string
}

/** A model's row as it was logged, renamed or not. */
export type LoggedNaming = Committed & { model_id: number; name: string }

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

type Value = string | null
type Values = Map<string, Value>
type Known = { prosthesisId: string; modelId: number; values: Values; isTheirs: boolean }

/** What still concerns a customer of a prosthesis that they have given back: how long it was theirs. */
const datesOfOwnership: ReadonlySet<string> = new Set(['issued_at', 'returned_at'])

/**
 * The changes between the versions of each prosthesis, newest first, as far as it was this customer's: what happened
 * to it before they had it or after they gave it back is somebody else's.
 *
 * A model is told by the name that it had at the time, and a new name of the model that they have is a change of its own
 * (`model_name`): no other device came.
 *
 * The log forgets: what it begins with is told as `recorded` only when it says so itself. Anything else was theirs before
 * already, and its beginning is cut off.
 * @param log oldest first
 * @param options.isCut whether more came before
 * @param options.namings of all models, oldest first, those after the last day too: they know names of before
 * @param options.lastDay up to which renamings are told
 * @param options.modelNames by id, for what the log has forgotten; a model that is not known is told by its id
 */
export function changesOf(
  log: readonly LoggedChange[],
  options: {
    userId: string
    isCut: boolean
    namings: readonly LoggedNaming[]
    lastDay: string
    modelNames: ReadonlyMap<number, string>
  },
): { rows: ServiceHistoryRow[]; isCut: boolean; days: { from: string; to: string } | undefined } {
  const { userId, namings } = options
  let { isCut } = options
  const names = new Map(options.modelNames)
  for (const { model_id, name } of namings.toReversed()) names.set(model_id, name)
  const known = new Map<string, Known>()
  const found: { day: string; row: ServiceHistoryRow }[] = []

  const renamings = namings.filter(({ day }) => day <= options.lastDay)
  for (const event of inCommitOrder<LoggedChange | LoggedNaming>([...log, ...renamings])) {
    if ('name' in event) rename(event)
    else follow(event)
  }
  return { rows: found.map(({ row }) => row).reverse(), isCut, days: daysOf(found.map(({ day }) => day)) }

  function rename({ model_id, name, committed_at, day }: LoggedNaming): void {
    const before = names.get(model_id) ?? null
    names.set(model_id, name)
    if (before === name) return
    for (const { prosthesisId, modelId, values, isTheirs } of known.values()) {
      if (modelId !== model_id) continue
      values.set('model', name)
      if (!isTheirs || isGivenBack(values, day)) continue
      const about = identity(committed_at, prosthesisId, values)
      found.push({ day, row: { ...about, change: 'changed', field: 'model_name', before, after: name } })
    }
  }

  function follow(event: LoggedChange): void {
    const before = known.get(event.key)
    const row = event.deleted ? {} : loggedRow.parse(JSON.parse(event.row))
    const isTheirs = !event.deleted && row.customer_id === userId
    const values = event.deleted ? new Map() : valuesOf(row, before?.values, names)
    const prosthesisId = loggedKey.parse(JSON.parse(event.key)).id
    known.set(event.key, { prosthesisId, modelId: Number(row.model_id), values, isTheirs })
    if (!isTheirs && !before?.isTheirs) return
    const about = identity(event.committed_at, prosthesisId, isTheirs ? values : before!.values)
    const tell = (
      change: ServiceHistoryRow['change'],
      field: string | null = null,
      was: Value = null,
      is: Value = null,
    ) => found.push({ day: event.day, row: { ...about, change, field, before: was, after: is } })
    // A snapshot reads what may have been there for long; it is the beginning only if nothing came before it.
    const isBeginning = before !== undefined || event.op === 'c' || (event.op === 'r' && !options.isCut)
    if (!isBeginning) isCut = true
    else if (!before?.isTheirs) tell('recorded')
    else if (!isTheirs) tell('removed')
    else {
      const isOver = isGivenBack(before.values, event.day) && isGivenBack(values, event.day)
      for (const field of new Set([...before.values.keys(), ...values.keys()])) {
        if (isOver && !datesOfOwnership.has(field)) continue
        const [was, is] = [before.values.get(field) ?? null, values.get(field) ?? null]
        if (was !== is) tell('changed', field, was, is)
      }
    }
  }
}

function inCommitOrder<Event extends Committed>(events: Event[]): Event[] {
  return events
    .map((event) => ({ event, place: BigInt(event.version) }))
    .sort((one, other) => (one.place < other.place ? -1 : one.place > other.place ? 1 : 0))
    .map(({ event }) => event)
}

/** Zones may change, and days with them: the newest change need not have the newest day. */
function daysOf(days: string[]): { from: string; to: string } | undefined {
  const [from] = days.sort()
  const to = days.at(-1)
  return from && to ? { from, to } : undefined
}

function identity(changed_at: string, prosthesis_id: string, values: Values) {
  return { changed_at, prosthesis_id, serial_number: values.get('serial_number') ?? '' }
}

/** Theirs are the days before `returned_at`. */
function isGivenBack(values: Values, day: string): boolean {
  const returnedAt = values.get('returned_at')
  return typeof returnedAt === 'string' && returnedAt <= day
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
