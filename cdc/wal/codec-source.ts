import { createTableCodec, type TableCodec } from '../changes/table-codec.ts'
import type { Catalog } from '../derive/catalog.ts'
import { cdcErrors } from '../errors.ts'
import type { FeedHooks } from '../feed-supervisor.ts'
import { createNameCheck } from '../source/misread-columns.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import type { Relation } from './relation.ts'

/**
 * Codecs for the tables of a stream, as long as the stream and the catalog agree.
 *
 * Where they do not, the catalog has changed since it was read, or had changed before and the stream has not come
 * to that yet. Reading it again tells which, and is done once for each difference.
 * @param hooks.explained the differences that are known and need nothing more; they outlive the stream
 */
export function createCodecSource(
  catalog: Catalog,
  { explained, misread }: Pick<FeedHooks, 'explained' | 'misread'>,
) {
  // By what no ALTER changes: a table that has another name for a while stays the same one.
  const replicas = new Map(catalog.replicas.map((replica) => [replica.source.oid, replica]))

  function lookInto(difference: string, detail: string): void {
    const id = `${catalog.fingerprint} ${difference}`
    if (explained.has(id)) return
    explained.add(id)
    throw cdcErrors.schemaChanged(detail)
  }

  const areOfOtherTime = new Map(catalog.replicas.map(({ source }) => [source.oid, createNameCheck(source)]))

  /**
   * What the catalog never shows when it is as before by the time somebody looks: the key was another one, or columns had other
   * names. Which rows the changes of meanwhile are of, or which values they have, cannot be told.
   */
  function refuseMisread(source: SourceTable, relation: Relation, position: bigint): void {
    const names = relation.columns.map(({ name }) => name)
    if (hasKey(source, relation) && !areOfOtherTime.get(source.oid)!(names)) return
    const { qualifiedName } = source
    if (position < (misread.get(qualifiedName) ?? 0n)) return
    misread.set(qualifiedName, undefined)
    throw cdcErrors.schemaChanged(`${qualifiedName} had another key, or columns by other names.`)
  }

  return {
    /**
     * @param position of the transaction that comes with it
     * @returns undefined for a table that is not in the registry
     * @throws TENDON-CDC-011 when the catalog has to be read again
     */
    codecFor(relation: Relation, position: bigint): TableCodec | undefined {
      const replica = replicas.get(relation.oid)
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
      refuseMisread(replica.source, relation, position)
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

function hasKey({ key }: SourceTable, { identity }: Relation): boolean {
  return (
    identity === undefined || (identity.length === key.length && identity.every((name) => key.includes(name)))
  )
}
