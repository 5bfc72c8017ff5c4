import { createRequire } from 'node:module'
import { ChdbServerError } from './chdb-server-error.ts'

/** An opaque handle of one libchdb connection. Connections on one data folder share its data, nothing else. */
export type Connection = { readonly __chdbConnection: unique symbol }

type QueryResult = { bytes: Buffer; elapsed: number; rowsRead: number; bytesRead: number }
type InsertResult = { elapsed: number; rowsWritten: number; bytesWritten: number }

/** What the engine's own parser says of a text. No statement (`statementCount` 0) means a syntax error. */
type Classification = { statementCount: number; queryClass: number }

/** `Classification.queryClass` of a statement that only reads: SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS. */
export const READ_ONLY_CLASS = 0

/**
 * The functions of the native addon that we call.
 *
 * The addon's exports are not documented: chdb's documented `Session` buffers every result, sets settings for
 * ever and closes a connection only once nothing runs in the whole process. So `chdb` is pinned to an exact
 * version, and these shapes are those of its `lib/chdb_node.cpp`.
 */
export type NativeBinding = {
  CreateConnection(dataPath: string, engineArguments: string[]): Connection
  /** Must not be called while a statement runs on the connection: that aborts the engine. */
  CloseConnection(connection: Connection): void
  QueryAsyncConnection(connection: Connection, sql: string, format: string): Promise<QueryResult>
  /** Runs `sql` followed by `data`; the only call that tells how many rows were written. */
  InsertRawAsyncConnection(
    connection: Connection,
    sql: string,
    data: Buffer,
    countLines: boolean,
  ): Promise<InsertResult>
  DurableClassifyAsync(connection: Connection, sql: string, database: string): Promise<Classification>
}

const PLATFORM_PACKAGES: Record<string, string> = {
  'linux-x64': '@chdb/lib-linux-x64-gnu',
  'linux-arm64': '@chdb/lib-linux-arm64-gnu',
  'darwin-x64': '@chdb/lib-darwin-x64',
  'darwin-arm64': '@chdb/lib-darwin-arm64',
}

/**
 * Loads libchdb (0.1 s, 500 MB mapped) for this machine.
 *
 * @throws {ChdbServerError} `CHDB_PLATFORM` when there is no build for it.
 */
export function loadNativeBinding(): NativeBinding {
  const platform = `${process.platform}-${process.arch}`
  const packageName = PLATFORM_PACKAGES[platform]
  if (packageName === undefined) {
    throw new ChdbServerError(
      'CHDB_PLATFORM',
      `The embedded ClickHouse engine does not run on ${platform}. It runs on ${Object.keys(PLATFORM_PACKAGES).join(', ')}; elsewhere, use a ClickHouse server.`,
    )
  }
  // The platform package is a dependency of chdb, not ours, and is therefore resolved from where chdb stands.
  const requireFromChdb = createRequire(import.meta.resolve('chdb/package.json'))
  try {
    return requireFromChdb(packageName)
  } catch (cause) {
    throw new ChdbServerError(
      'CHDB_PLATFORM',
      `The embedded ClickHouse engine could not be loaded from ${packageName}. On Linux it needs glibc (not musl). Run npm ci again, or use a ClickHouse server.`,
      { cause },
    )
  }
}
