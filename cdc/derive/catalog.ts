import { createHash } from 'node:crypto'
import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import type { RegistryEntry } from '../registry.ts'
import { lookUpTables, lookUpTablesUnder, type SourceTable } from '../source/source-catalog.ts'
import { applyPublication, publishGenerated, readMemberships } from './derive-publication.ts'
import { deriveReplica, type ReplicaTable } from './derive-table.ts'

/** The registry's tables as the source has them. */
export type Catalog = {
  replicas: ReplicaTable[]
  /** Each table's place in the publication, by its qualified name. */
  memberships: Map<string, string>
  /** Names of the registry's tables that cannot be carried as they are. */
  refused: string[]
  /** Why, and columns that are not carried as the registry asks. */
  problems: TendonError[]
  /** Columns that nobody left out and that are not published: why, and what to do. */
  leftOut: string[]
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
  const published = await publishGenerated(client, publicationName)
  const { tables, refused } = await lookUpTablesUnder(client, published, entries)
  const problems = [...refused.values()]
  if (tables.length === 0 && problems[0]) throw problems[0]
  const memberships = await applyPublication(client, published, tables)
  const replicas = tables.map(deriveReplica)
  return {
    replicas,
    memberships,
    refused: [...refused.keys()],
    leftOut: tables.flatMap(({ leftOut }) => leftOut),
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
  const { tables } = await lookUpTables(client, publicationName, entries)
  return fingerprintOf(tables, await readMemberships(client, publicationName, tables))
}

function fingerprintOf(tables: SourceTable[], memberships: Map<string, string>): string {
  const places = tables.map((table) => memberships.get(table.qualifiedName))
  return createHash('sha256')
    .update(JSON.stringify([tables, places]))
    .digest('hex')
}
