import { createTableCodec, type TableCodec } from '../changes/table-codec.ts'
import type { Catalog } from '../derive/catalog.ts'
import { cdcErrors } from '../errors.ts'
import type { Relation } from './relation.ts'

/**
 * Codecs for the tables of a stream, as long as the stream and the catalog agree.
 *
 * Where they do not, the catalog has changed since it was read, or had changed before and the stream has not come
 * to that yet. Reading it again tells which, and is done once for each difference.
 * @param explained the differences that are known and need nothing more; they outlive the stream
 */
export function createCodecSource(catalog: Catalog, explained: Set<string>) {
  const replicas = new Map(catalog.replicas.map((replica) => [replica.source.qualifiedName, replica]))

  function lookInto(difference: string, detail: string): void {
    const id = `${catalog.fingerprint} ${difference}`
    if (explained.has(id)) return
    explained.add(id)
    throw cdcErrors.schemaChanged(detail)
  }

  return {
    /**
     * @returns undefined for a table that is not in the registry
     * @throws TENDON-CDC-011 when the catalog has to be read again
     */
    codecFor(relation: Relation): TableCodec | undefined {
      const replica = replicas.get(relation.qualifiedName)
      if (!replica) return undefined
      const { entry, columns } = replica.source
      const formerTypes = new Set<string>()
      for (const { name, typeOid } of relation.columns) {
        const column = columns.find((candidate) => candidate.name === name)
        const agrees = column ? column.typeOid === typeOid : entry.omitColumns?.includes(name)
        if (agrees) continue
        const place = `${relation.qualifiedName}.${name}`
        lookInto(`${place} ${typeOid}`, `${place} is new, or of another type.`)
        formerTypes.add(name)
      }
      return createTableCodec(
        replica,
        relation.columns.map(({ name }) => name),
        formerTypes,
      )
    },
    onUnexpectedNull(codec: TableCodec, column: string): void {
      const place = `${codec.qualifiedName}.${column}`
      lookInto(`${place} null`, `${place} may be NULL now.`)
    },
  }
}
