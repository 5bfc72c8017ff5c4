import { clickHouseException } from './clickhouse-exception.ts'
import type { Connection, NativeBinding } from './native-binding.ts'
import { sqlIdentifier, sqlLiteral } from './sql-literal.ts'
import type { Statement } from './statement.ts'

/**
 * The setting that marks a statement in system.processes, so that it can be killed: libchdb gives every query an
 * id of its own that nobody is told. It is libchdb's own and changes nothing about a query.
 */
export const TAG_SETTING = 'chdb_client_name'

/** ClickHouse's default, so that a text too long for a server is too long here as well. */
const MAX_QUERY_SIZE = ['max_query_size', Buffer.from('262144')] as const

/** Names cannot be quoted in SET, so only words pass. */
const NAME = /^\w+$/

/** What a connection is told before a statement runs on it. */
type StatementSettings = Pick<Statement, 'database' | 'parameters' | 'settings'>

/**
 * What a statement asks for, and the mark that it gets.
 *
 * @throws {ClickHouseException} for names that are no names.
 */
export function statementSettings(statement: Statement, tag: string): StatementSettings {
  const { database, parameters } = statement
  const settings = new Map([MAX_QUERY_SIZE, ...statement.settings, [TAG_SETTING, Buffer.from(tag)]])
  for (const name of settings.keys()) {
    if (!NAME.test(name)) throw clickHouseException(115, `Unknown setting '${name}'`)
  }
  for (const name of parameters.keys()) {
    if (!NAME.test(name)) throw clickHouseException(36, `Bad name of a query parameter: '${name}'`)
  }
  return { database, parameters, settings }
}

/** @throws the engine's error for settings and databases that do not exist. */
export async function applySettings(
  native: NativeBinding,
  connection: Connection,
  { database, parameters, settings }: StatementSettings,
): Promise<void> {
  const assignments = [
    ...[...settings].map(([name, value]) => `${name} = ${sqlLiteral(value)}`),
    ...[...parameters].map(([name, value]) => `param_${name} = ${sqlLiteral(value)}`),
  ]
  if (database !== undefined)
    await native.QueryAsyncConnection(connection, `USE ${sqlIdentifier(database)}`, 'Null')
  await native.QueryAsyncConnection(connection, `SET ${assignments.join(', ')}`, 'Null')
}

/**
 * Remembers what {@link applySettings} is about to change on a session's connection, whose own SET and USE last.
 *
 * @returns what puts it back.
 */
export async function settingsUndo(
  native: NativeBinding,
  connection: Connection,
  { settings, database }: StatementSettings,
): Promise<() => Promise<void>> {
  const rows = async (sql: string): Promise<unknown[][]> => {
    const { bytes } = await native.QueryAsyncConnection(connection, sql, 'JSONCompactEachRow')
    const lines = bytes.toString().split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
  }
  const names = [...settings.keys()].map((name) => sqlLiteral(name)).join(', ')
  const before = await rows(`SELECT name, value, changed FROM system.settings WHERE name IN (${names})`)
  const undo = before.map(([name, value, changed]) =>
    changed ? `SET ${name} = ${sqlLiteral(String(value))}` : `SET ${name} = DEFAULT`,
  )
  if (database !== undefined) {
    const [current] = await rows('SELECT currentDatabase()')
    undo.push(`USE ${sqlIdentifier(String(current?.[0]))}`)
  }
  return async () => {
    for (const sql of undo) await native.QueryAsyncConnection(connection, sql, 'Null')
  }
}
