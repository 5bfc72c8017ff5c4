/** `schema.table`, as in `cdc.events`. */
export const qualified = (name: string) => (name.includes('.') ? name : `public.${name}`)

/** The schema ends at the first dot; a name without one is in `public`. */
export function splitTableName(qualifiedName: string): { schema: string; name: string } {
  const dot = qualifiedName.indexOf('.')
  return dot < 0
    ? { schema: 'public', name: qualifiedName }
    : { schema: qualifiedName.slice(0, dot), name: qualifiedName.slice(dot + 1) }
}
