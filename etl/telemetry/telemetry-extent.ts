import type { ClientBase } from 'pg'
import type { SourceTraits } from './source-traits.ts'
import type { TimeBounds } from './telemetry.ts'

const rowsSql = (table: string) => `
  SELECT
    (extract(epoch FROM min(recorded_at)) * 1000000)::bigint::text AS "fromUs",
    (extract(epoch FROM max(recorded_at)) * 1000000 + 1)::bigint::text AS "toUs"
  FROM ${table}
  WHERE recorded_at >= to_timestamp($1) AND recorded_at < to_timestamp($2)`

/** The bounds of the partitions by time: what `FOR VALUES FROM ('…') TO ('…')` names. */
const partitionsSql = `
  SELECT
    (extract(epoch FROM min(bounds[1]::timestamptz)) * 1000000)::bigint::text AS "fromUs",
    (extract(epoch FROM max(bounds[2]::timestamptz)) * 1000000)::bigint::text AS "toUs",
    max(child) FILTER (WHERE bounds IS NULL) AS "defaultPartition",
    bool_and(bounds IS NOT NULL OR bound = 'DEFAULT') AS "isByTime"
  FROM (
    SELECT
      format('%I.%I', nspname, relname) AS child,
      pg_get_expr(relpartbound, pg_class.oid) AS bound,
      regexp_match(
        pg_get_expr(relpartbound, pg_class.oid),
        'FOR VALUES FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)'
      ) AS bounds
    FROM pg_inherits
    JOIN pg_class ON pg_class.oid = inhrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE inhparent = 'telemetry_events'::regclass
  ) AS partitions`

/**
 * From when to when there is telemetry: as partitions say, which is at once, and only by looking at the rows of the
 * default partition, or of a table without partitions.
 */
export async function readExtent(
  client: ClientBase,
  { isPartitioned }: SourceTraits,
  bounds: TimeBounds,
): Promise<TimeBounds | undefined> {
  if (!isPartitioned) return rowsExtent(client, 'telemetry_events', bounds)
  const { rows } = await client.query<{
    fromUs: string | null
    toUs: string | null
    defaultPartition: string | null
    isByTime: boolean
  }>(partitionsSql)
  const found = rows[0]!
  if (!found.isByTime) return rowsExtent(client, 'telemetry_events', bounds)
  const others = found.defaultPartition ? await rowsExtent(client, found.defaultPartition, bounds) : undefined
  const extents = [
    ...(others ? [others] : []),
    ...(found.fromUs && found.toUs ? [{ fromUs: Number(found.fromUs), toUs: Number(found.toUs) }] : []),
  ]
  if (extents.length === 0) return undefined
  return {
    fromUs: Math.max(bounds.fromUs, Math.min(...extents.map(({ fromUs }) => fromUs))),
    toUs: Math.min(bounds.toUs, Math.max(...extents.map(({ toUs }) => toUs))),
  }
}

async function rowsExtent(
  client: ClientBase,
  table: string,
  bounds: TimeBounds,
): Promise<TimeBounds | undefined> {
  const { rows } = await client.query<{ fromUs: string | null; toUs: string | null }>(rowsSql(table), [
    bounds.fromUs / 1e6,
    bounds.toUs / 1e6,
  ])
  const { fromUs, toUs } = rows[0]!
  return fromUs === null ? undefined : { fromUs: Number(fromUs), toUs: Number(toUs) }
}
