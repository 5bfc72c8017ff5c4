import fc from 'fast-check'
import pg from 'pg'

/**
 * Histories of tables that nobody has thought of: their shapes, changes of their rows and changes of their shapes. All
 * choices are numbers, which are taken modulo what there is to choose from when a history is lived through.
 */
export type History = { tables: TableChoice[]; transactions: Transaction[] }
type TableChoice = {
  columns: number[]
  generated: number[]
  keyTypes: number[]
  isFull: boolean
  names: number
}
type Transaction = { operations: Operation[]; commits: boolean; shape: Operation | undefined }
type Operation = { kind: number; table: number; column: number; value: number; key: number }

const number = fc.nat({ max: 1 << 20 })

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: number,
  table: number,
  column: number,
  value: number,
  key: number,
})

const operationsPerTransaction = 20

/** @param operations how many of them a history has; every hundredth transaction changes a shape too */
export function randomHistory(operations: number): fc.Arbitrary<History> {
  const count = Math.ceil(operations / operationsPerTransaction)
  return fc.record({
    tables: fc.array(
      fc.record({
        columns: fc.array(number, { minLength: 1, maxLength: 6 }),
        generated: fc.array(number, { maxLength: 2 }),
        keyTypes: fc.array(number, { minLength: 1, maxLength: 3 }),
        isFull: fc.boolean(),
        names: number,
      }),
      { minLength: 1, maxLength: 3 },
    ),
    transactions: fc.array(
      fc.record({
        operations: fc.array(operation, {
          minLength: operationsPerTransaction,
          maxLength: operationsPerTransaction,
        }),
        commits: fc.integer({ min: 0, max: 9 }).map((one) => one > 0),
        shape: fc.option(operation, { nil: undefined, freq: shapeEvery }),
      }),
      { minLength: count, maxLength: count },
    ),
  })
}

/** Rare: each costs the feed a new session, and often a snapshot. */
const shapeEvery = 50

type ColumnType = { type: string; values: string[]; wider?: string }

const types: ColumnType[] = [
  { type: 'smallint', values: ['0', '-32768', '7'], wider: 'integer' },
  { type: 'integer', values: ['0', '-1', '2147483647'], wider: 'bigint' },
  { type: 'bigint', values: ['9007199254740993', '-9223372036854775808', '1'], wider: 'numeric' },
  { type: 'numeric', values: ['1.10', `'NaN'`, '123456789012345678901234567890.5'] },
  { type: 'numeric(12,3)', values: ['1.105', '-0.055', '0'], wider: 'numeric(12,1)' },
  { type: 'numeric(12,1)', values: ['1.1', '-0.1'], wider: 'numeric' },
  { type: 'double precision', values: ['0.1', `'-0'`, `'NaN'`, `'-Infinity'`, '1e20'] },
  { type: 'boolean', values: ['true', 'false'] },
  { type: 'varchar(40)', values: [`''`, `'a'`, `E'"\\\\\\n\\t'`], wider: 'text' },
  { type: 'text', values: [`'é🎉'`, `E'\\u0001/'`, `'null'`, `repeat('long', 1500)`] },
  { type: 'char(3)', values: [`'a'`, `'abc'`] },
  { type: 'date', values: [`'2024-02-29'`, `'infinity'`, `'0044-03-15 BC'`] },
  { type: 'timestamptz', values: [`'2024-01-02 03:04:05.678+00'`, `'1969-12-31 23:59:59.999999+00'`] },
  { type: 'uuid', values: [`'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`] },
  { type: 'jsonb', values: [`'{"a": [1.10, null]}'`, `'null'`, `'"x"'`] },
  { type: 'bytea', values: [`'\\x00ff0a'`, `'\\x'`] },
  { type: 'interval', values: [`'1 year -3 days 04:05:06.7'`, `'0'`] },
  { type: 'text[]', values: [`'{}'`, `'{a,NULL,"b \\"c\\\\"}'`, `'{{a,b},{c,d}}'`] },
  { type: 'double precision[]', values: [`'{1e20,-0,NaN,NULL}'`] },
  { type: 'inet', values: [`'::1'`, `'192.168.0.1/24'`] },
]

/** Its labels are renamed, for all tables. */
const moodType = (): ColumnType => ({ type: 'random_mood', values: [`'sad'`, `'happy'`] })

/** Few values each, so that keys meet. */
const keyTypes: ColumnType[] = [
  { type: 'integer', values: Array.from({ length: 30 }, (_one, index) => String(index - 5)) },
  { type: 'text', values: [`'a'`, `E'b"\\\\/\\u0001'`, `'é🎉'`, `''`] },
  { type: 'timestamptz', values: [`'2024-01-02 03:04:05.678+00'`, `'1969-12-31 23:59:59.999999+00'`] },
  { type: 'uuid', values: [`'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`, `gen_random_uuid()`] },
  { type: 'bytea', values: [`'\\x00ff'`, `'\\x'`] },
  { type: 'bigint', values: ['9007199254740993', '-9223372036854775808', '1'] },
]

/** Names that something between the two databases might take for its own. */
const names = [
  ['version', 'deleted', 'key', 'row', 'op', 'fields', 'table', 'lsn', 'members', 'rows', 't', 'e'],
  [
    'a.b',
    'quoted "x"',
    'back\\slash `tick`',
    'ключ',
    'UPPER',
    'with space',
    "it's",
    'ctid_',
    'x',
    'y',
    'z',
    'w',
  ],
]

type Column = {
  name: string
  type: ColumnType
  isKey: boolean
  /** PostgreSQL computes it from another column. */
  from?: Column
}
type Table = { name: string; columns: Column[]; unusedNames: string[] }

const oneOf = <Item>(items: readonly Item[], choice: number) => items[choice % items.length]!
const quoted = pg.escapeIdentifier

/** Tables as they are while a history is lived through. */
export type Model = { tables: Table[]; ddl: string; names: string[]; mood: ColumnType; types: ColumnType[] }

export function createModel(history: History): Model {
  const mood = moodType()
  const all = [...types, mood]
  const tables = history.tables.map((choice, index): Table => {
    const free = [...oneOf(names, choice.names)]
    const column = (type: ColumnType, isKey: boolean): Column => ({ name: free.shift()!, type, isKey })
    const plain = choice.columns.map((type) => column(oneOf(all, type), false))
    const columns = [
      ...plain,
      ...choice.generated.map((from) => generatedFrom(oneOf(plain, from), free.shift()!)),
      ...choice.keyTypes.map((type) => column(oneOf(keyTypes, type), true)),
    ]
    return { name: `random_${index}`, columns, unusedNames: free }
  })
  const ddl = tables.map(({ name, columns }, index) => {
    const list = columns
      .map((column) => `${quoted(column.name)} ${column.type.type}${generated(column)}`)
      .join(', ')
    const key = columns.filter(({ isKey }) => isKey).map((column) => quoted(column.name))
    const identity = history.tables[index]!.isFull ? `ALTER TABLE ${name} REPLICA IDENTITY FULL;` : ''
    return `CREATE TABLE ${name} (${list}, PRIMARY KEY (${key.toReversed().join(', ')})); ${identity}`
  })
  return {
    tables,
    ddl: [`CREATE TYPE random_mood AS ENUM (${mood.values.join(', ')});`, ...ddl].join('\n'),
    names: tables.map(({ name }) => `public.${name}`),
    mood,
    types: all,
  }
}

const generatedFrom = (from: Column, name: string): Column => ({ name, type: from.type, isKey: false, from })

/** What a generated column is made of: one value of the other's becomes NULL, or none does. */
function expression(from: Column, choice: number): string {
  const name = quoted(from.name)
  return choice % 3 === 0 ? name : `nullif(${name}, ${oneOf(from.type.values, choice)})`
}

function generated({ from }: Column, choice = 0): string {
  return from ? ` GENERATED ALWAYS AS (${expression(from, choice)}) STORED` : ''
}

/** The statements of a transaction, and of the change of shape after it. The model follows the shape. */
export function statementsOf(model: Model, { operations, commits, shape }: Transaction): string[] {
  const changes = operations.map((one) => changeOfRows(oneOf(model.tables, one.table), one))
  const transaction = `BEGIN; ${changes.join('; ')}; ${commits ? 'COMMIT' : 'ROLLBACK'}`
  return shape ? [transaction, changeOfShape(model, oneOf(model.tables, shape.table), shape)] : [transaction]
}

function changeOfRows(table: Table, { kind, column, value, key }: Operation): string {
  const keys = table.columns.filter(({ isKey }) => isKey)
  const others = table.columns.filter(({ isKey, from }) => !isKey && !from)
  const literal = (one: Column, choice: number) => oneOf(one.type.values, choice)
  const first = keys[0]!
  const where = `WHERE ${quoted(first.name)} = ${literal(first, key)}`
  const changed = others.length > 0 ? oneOf(others, column) : undefined
  const set = changed
    ? `${quoted(changed.name)} = ${value % 5 === 0 ? 'NULL' : literal(changed, value)}`
    : `${quoted(first.name)} = ${table.name}.${quoted(first.name)}`
  // A column that has become NOT NULL, and a key that is taken, are the source's to refuse.
  const orNot = (statement: string) =>
    `DO $do$ BEGIN ${statement}; EXCEPTION WHEN integrity_constraint_violation THEN NULL; END $do$`
  switch (kind % 16) {
    case 0:
      return kind % 160 === 0 ? `TRUNCATE ${table.name}` : `DELETE FROM ${table.name} ${where}`
    case 1:
    case 2:
      return `DELETE FROM ${table.name} ${where}`
    case 3:
      return orNot(`UPDATE ${table.name} SET ${quoted(first.name)} = ${literal(first, value)} ${where}`)
    case 4:
    case 5:
    case 6:
    case 7:
      return orNot(`UPDATE ${table.name} SET ${set} ${where}`)
    case 8:
      return orNot(`UPDATE ${table.name} SET ${set}`)
    default: {
      const all = [...keys, ...others]
      const values = all.map((one, place) => literal(one, one.isKey ? key + place * 7 : value + place))
      const conflict =
        kind % 2 === 0
          ? 'DO NOTHING'
          : `(${keys
              .toReversed()
              .map((one) => quoted(one.name))
              .join(', ')}) DO UPDATE SET ${set}`
      return orNot(
        `INSERT INTO ${table.name} (${all.map((one) => quoted(one.name)).join(', ')}) VALUES (${values.join(', ')}) ON CONFLICT ${conflict}`,
      )
    }
  }
}

function changeOfShape(model: Model, table: Table, { kind, column, value, key: place }: Operation): string {
  const others = table.columns.filter(({ isKey }) => !isKey)
  const chosen = others.length > 0 ? oneOf(others, column) : undefined
  const isUsed = others.some(({ from }) => from === chosen)
  const alter = `ALTER TABLE ${table.name}`
  const key = quoted(table.columns.find(({ isKey }) => isKey)!.name)
  // The stream tells of a new shape with the next change of a row. Rows that nothing changes have to be filled as well.
  const touched = place % 2 === 0 ? '' : ` WHERE ctid = (SELECT ctid FROM ${table.name} LIMIT 1)`
  const touch = `UPDATE ${table.name} SET ${key} = ${key}${touched}`
  const kinds = chosen ? 7 : 1
  switch (kind % kinds) {
    case 1: {
      // PostgreSQL refuses this, and another type.
      if (isUsed) return touch
      table.columns = table.columns.filter((one) => one !== chosen)
      table.unusedNames.push(chosen!.name)
      return `${alter} DROP COLUMN ${quoted(chosen!.name)}; ${touch}`
    }
    case 2: {
      const wider = types.find(({ type }) => type === chosen!.type.wider)
      if (!wider || isUsed) return touch
      chosen!.type = wider
      return `${alter} ALTER ${quoted(chosen!.name)} TYPE ${wider.type}; ${touch}`
    }
    case 3: {
      const former = chosen!.name
      if (table.unusedNames.length === 0) return touch
      chosen!.name = table.unusedNames.shift()!
      table.unusedNames.push(former)
      return `${alter} RENAME COLUMN ${quoted(former)} TO ${quoted(chosen!.name)}; ${touch}`
    }
    case 4: {
      if (chosen!.from)
        return `${alter} ALTER ${quoted(chosen!.name)} SET EXPRESSION AS (${expression(chosen!.from, value)}); ${touch}`
      const name = table.unusedNames.shift()
      if (name === undefined) return touch
      const made = generatedFrom(chosen!, name)
      table.columns.push(made)
      return `${alter} ADD COLUMN ${quoted(name)} ${made.type.type}${generated(made, value)}; ${touch}`
    }
    case 5: {
      if (isUsed || chosen!.from) return touch
      // Other values of the same type, of which the WAL says nothing.
      const { type, values } = chosen!.type
      return `${alter} ALTER ${quoted(chosen!.name)} TYPE ${type} USING ${oneOf(values, value)}; ${touch}`
    }
    case 6: {
      const { values } = model.mood
      const former = oneOf(values, value)
      const label = `'label ${kind} ${value}'`
      if (values.includes(label)) return touch
      values.splice(values.indexOf(former), 1, label)
      return `ALTER TYPE random_mood RENAME VALUE ${former} TO ${label}; ${touch}`
    }
    default: {
      const name = table.unusedNames.shift()
      if (name === undefined) return touch
      const type = oneOf(model.types, value)
      table.columns.push({ name, type, isKey: false })
      const fallback = value % 3 === 0 ? '' : ` DEFAULT ${oneOf(type.values, column)}`
      return `${alter} ADD COLUMN ${quoted(name)} ${type.type}${fallback}; ${touch}`
    }
  }
}
