import type { ClientBase } from 'pg'
import { z } from 'zod'
import { rowsOf } from './rows-of.ts'

/** What a type comes down to once domains are taken off. */
export type BaseType = {
  /** Name in pg_catalog, as in `int4` or `timestamptz`; `other` for enums, composites, extensions' types. */
  name: string
  /** What an array holds. */
  element?: BaseType | undefined
}

const typeRow = z.object({
  oid: z.coerce.number(),
  name: z.string(),
  built_in: z.boolean(),
  domain_of: z.coerce.number(),
  element: z.coerce.number().nullable(),
})

const typesSql = `
WITH RECURSIVE used (oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT next.oid
  FROM used
  JOIN pg_type t ON t.oid = used.oid
  LEFT JOIN pg_type e ON e.typarray = t.oid
  CROSS JOIN LATERAL (VALUES (t.typbasetype), (e.oid)) AS next (oid)
  WHERE next.oid <> 0
)
SELECT
  t.oid, t.typname AS name, t.typnamespace = 'pg_catalog'::regnamespace AS built_in, t.typbasetype AS domain_of,
  (SELECT e.oid FROM pg_type e WHERE e.typarray = t.oid) AS element
FROM used JOIN pg_type t ON t.oid = used.oid`

/** Types by their oids. */
export type Types = {
  baseOf(oid: number): BaseType
  domainsOf(oids: number[]): [name: string, base: string][]
}

export async function readTypes(client: ClientBase, oids: number[]): Promise<Types> {
  const rows = new Map((await rowsOf(client, typeRow, typesSql, [oids])).map((row) => [row.oid, row]))
  const withoutDomain = (oid: number): z.infer<typeof typeRow> => {
    const row = rows.get(oid)!
    return row.domain_of === 0 ? row : withoutDomain(row.domain_of)
  }
  const baseOf = (oid: number): BaseType => {
    const row = withoutDomain(oid)
    if (row.element !== null) return { name: 'array', element: baseOf(row.element) }
    return { name: row.built_in ? row.name : 'other' }
  }
  const domainsOf = (of: number[]): [string, string][] =>
    of.flatMap((oid): [string, string][] => {
      const row = rows.get(oid)!
      const base = withoutDomain(oid)
      const own: [string, string][] = row.domain_of === 0 ? [] : [[row.name, base.name]]
      return base.element === null ? own : [...own, ...domainsOf([base.element])]
    })
  return { baseOf, domainsOf }
}
