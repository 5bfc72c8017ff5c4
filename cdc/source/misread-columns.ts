import type { SourceColumn } from './source-catalog.ts'

/**
 * Tells whether names of columns, in the order in which a change came with them, are those of another time: PostgreSQL puts columns in
 * the order of their numbers, which stay the same whatever their names. What was added since is missing at the end and nowhere else,
 * and what was dropped since is one name more. A drop of the last column and another that was added since look like a new name.
 * @param hasPlace whether a name comes in its place
 */
export function createNameCheck(
  { columns, omitted }: { columns: readonly Pick<SourceColumn, 'name'>[]; omitted: readonly string[] },
  hasPlace: (name: string) => boolean = () => true,
): (names: Iterable<string>) => boolean {
  const known = columns.map(({ name }) => name).filter(hasPlace)
  const places = new Map(known.map((name, place) => [name, place]))
  return (names) => {
    let last = -1
    let isUnknown = false
    for (const name of names) {
      const place = places.get(name)
      if (place === undefined) {
        isUnknown ||= hasPlace(name) && !omitted.includes(name)
        continue
      }
      if (place !== last + 1) return true
      last = place
      isUnknown = false
    }
    return isUnknown && last < known.length - 1
  }
}
