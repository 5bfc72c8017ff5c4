import type { z } from 'zod'

/** A ClickHouse query as one value: its text with `{name:Type}` binds, and what goes in and comes out. */
export type Query<Params extends z.ZodType = z.ZodType, Row extends z.ZodType = z.ZodType> = {
  /** Shows in logs, in error messages and in ClickHouse as the statement's log_comment. */
  name: string
  sql: string
  params: Params
  row: Row
}

/**
 * Declares a query.
 *
 * Rows arrive as JSON: integers of 64 bits and more as strings of digits, DateTime64 as
 * `2026-01-02T03:04:05.678901Z`, Date as `2026-01-02`, NaN and infinities as null.
 * The text has no FORMAT clause.
 */
export function defineQuery<Params extends z.ZodType, Row extends z.ZodType>(
  query: Query<Params, Row>,
): Query<Params, Row> {
  return query
}
