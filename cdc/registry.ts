/** One table of the CRM that is carried into the warehouse. Everything else about it is read from the source. */
export type RegistryEntry = {
  /** `schema.table` */
  name: string
  /** Columns that stay out of the warehouse. */
  omitColumns?: readonly string[]
  /** Narrower ClickHouse types than the default, by column; see column-mapping.ts for what there is. */
  types?: Readonly<Record<string, string>>
  /**
   * Whose reports a change concerns: a SELECT of `user_id` that may read `changed_keys` (one column, `key`, as in
   * `cdc.events`), the log and the replicas, all of which hold the change already.
   */
  users: string
}

export const registry: readonly RegistryEntry[] = [
  {
    name: 'public.customers',
    users: `SELECT JSONExtractString(key, 'id') AS user_id FROM changed_keys`,
  },
  {
    name: 'public.prosthesis_models',
    types: { weight_grams: 'Decimal(7, 1)', list_price: 'Decimal(10, 2)', features: 'Array(String)' },
    // Everybody who has or had one: it is named in reports of past days too.
    users: `
      SELECT DISTINCT toString(customer_id) AS user_id
      FROM crm.prostheses FINAL
      WHERE model_id IN (SELECT JSONExtract(key, 'id', 'Int32') FROM changed_keys)`,
  },
  {
    name: 'public.prostheses',
    // Whoever the row belonged to at any time: the former customer's report changes as well.
    users: `
      SELECT DISTINCT JSONExtractString(row, 'customer_id') AS user_id
      FROM cdc.events
      WHERE table = 'public.prostheses' AND deleted = 0 AND key IN (SELECT key FROM changed_keys)`,
  },
]
