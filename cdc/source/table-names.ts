/** `schema.table`, as in `cdc.events`. */
export const qualified = (name: string) => (name.includes('.') ? name : `public.${name}`)

/** Both may have dots of their own: which of them are between the two, the source's catalog says. */
export function splitsOf(qualifiedName: string): { schema: string; name: string }[] {
  return [...qualifiedName.matchAll(/\./g)].map(({ index }) => ({
    schema: qualifiedName.slice(0, index),
    name: qualifiedName.slice(index + 1),
  }))
}

/** An identifier in quotes, which are doubled in it, or without, and then in lower case ("Identifiers and Key Words"). */
const identifier = String.raw`"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{M}\p{N}_$]*)`
const tableName = new RegExp(String.raw`^(?:(?:${identifier})\.)?(?:${identifier})$`, 'u')

/** As `regclass` reads it, or undefined where it would not. */
function readAsPostgres(text: string): string | undefined {
  const [match, quotedSchema, plainSchema, quotedName, plainName] = tableName.exec(text) ?? []
  if (match === undefined) return undefined
  return `${unquoted(quotedSchema, plainSchema) ?? 'public'}.${unquoted(quotedName, plainName)}`
}

/** Letters beyond ASCII stay as they are in UTF-8 (downcase_identifier). */
const unquoted = (quoted: string | undefined, plain: string | undefined) =>
  quoted?.replaceAll('""', '"') ?? plain?.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** What somebody may mean who names a table, the likeliest first: the name as it is in the registry, or as PostgreSQL reads it. */
export function namesMeant(text: string): string[] {
  return [...new Set([qualified(text), `public.${text}`, readAsPostgres(text) ?? []].flat())]
}
