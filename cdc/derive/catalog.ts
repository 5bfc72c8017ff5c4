import { createHash } from 'node:crypto'
import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import type { RegistryEntry } from '../registry.ts'
import { lookUpTables, type SourceTable } from '../source/source-catalog.ts'
import { applyPublication, readMemberships } from './derive-publication.ts'
import { deriveReplica, type ReplicaTable } from './derive-table.ts'

/** The registry's tables as the source has them. */
export type Catalog = {
  replicas: ReplicaTable[]
  /** Each table's place in the publication, by its qualified name. */
  memberships: Map<string, string>
  /** Tables and columns that are not carried, or not as the registry asks. */
  problems: TendonError[]
  /** Another one when anything in it is. */
  fingerprint: string
}

/**
 * Reads the catalog, and sees to it that the publication carries all of its tables.
 * @throws the first problem when there is no table that can be carried
 */
export async function readCatalog(
  client: ClientBase,
  publicationName: string,
  entries: readonly RegistryEntry[],
): Promise<Catalog> {
  const { tables, problems } = await lookUpTables(client, entries)
  if (tables.length === 0 && problems[0]) throw problems[0]
  const memberships = await applyPublication(client, publicationName, tables)
  const replicas = tables.map(deriveReplica)
  return {
    replicas,
    memberships,
    problems: [...problems, ...replicas.flatMap((replica) => replica.problems)],
    fingerprint: fingerprintOf(tables, memberships),
  }
}

/** The fingerprint of the catalog as it is now; nothing is changed. */
export async function readFingerprint(
  client: ClientBase,
  publicationName: string,
  entries: readonly RegistryEntry[],
): Promise<string> {
  const { tables } = await lookUpTables(client, entries)
  return fingerprintOf(tables, await readMemberships(client, publicationName, tables))
}

function fingerprintOf(tables: SourceTable[], memberships: Map<string, string>): string {
  const places = tables.map((table) => memberships.get(table.qualifiedName))
  return createHash('sha256')
    .update(JSON.stringify([tables, places]))
    .digest('hex')
}
