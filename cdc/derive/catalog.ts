import { createHash } from 'node:crypto'
import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { ClientBase } from 'pg'
import type { RegistryEntry } from '../registry.ts'
import { readPublishedGenerated } from '../source/generated-columns.ts'
import { type LookedUp, lookUpTables, lookUpTablesUnder, type SourceTable } from '../source/source-catalog.ts'
import { readStorages, type TableStorage } from '../source/table-storage.ts'
import { applyPublication, publishGenerated } from './derive-publication.ts'
import { deriveReplica, type ReplicaTable } from './derive-table.ts'
import { readMemberships } from './publication-members.ts'
import { sayRenamed } from './renamed-tables.ts'
import { readUnpublishable } from './unpublishable.ts'

/** The registry's tables as the source has them. */
export type Catalog = {
  /** All that is declared, whether or not it can be carried now. */
  entries: readonly RegistryEntry[]
  replicas: ReplicaTable[]
  /** Each table's place in the publication, by its qualified name. */
  memberships: Map<string, string>
  /** Names of the registry's tables that cannot be carried as they are. */
  refused: string[]
  /** Why, and columns that are not carried as the registry asks. */
  problems: TendonError[]
  /** Columns that nobody left out and that are not published: why, and what to do. */
  leftOut: string[]
  /** Another one when anything in it is, but for how tables are stored. */
  fingerprint: string
  /** How each table is stored, by its qualified name: what else of it may change and be nothing to the replica. */
  storages: Map<string, TableStorage>
}

/**
 * Reads the catalog, and sees to it that the publication carries all of its tables.
 * @throws the first problem when there is no table that can be carried
 */
export async function readCatalog(
  client: ClientBase,
  warehouse: Warehouse,
  publicationName: string,
  entries: readonly RegistryEntry[],
): Promise<Catalog> {
  const published = await publishGenerated(client, publicationName)
  const lookedUp = await lookUpTablesUnder(client, published, entries)
  const { tables } = lookedUp
  const refused = await sayRenamed(client, warehouse, lookedUp.refused)
  refuseAll(tables, refused)
  const { memberships, refused: unpublished } = await applyPublication(client, published, tables)
  for (const [name, problem] of unpublished) refused.set(name, problem)
  const carried = tables.filter(({ qualifiedName }) => !refused.has(qualifiedName))
  refuseAll(carried, refused)
  const replicas = carried.map(deriveReplica)
  return {
    entries,
    replicas,
    memberships,
    refused: [...refused.keys()],
    leftOut: carried.flatMap(({ leftOut }) => leftOut),
    problems: [...refused.values(), ...replicas.flatMap((replica) => replica.problems)],
    fingerprint: fingerprintOf(tables, memberships),
    storages: await readStorages(client, tables),
  }
}

/** @throws the first problem when it is all there is */
function refuseAll(carried: readonly SourceTable[], refused: ReadonlyMap<string, TendonError>): void {
  const [problem] = refused.values()
  if (carried.length === 0 && problem) throw problem
}

/**
 * The registry's tables, those apart that cannot be carried: also for want of a place in the publication. Nothing is
 * changed.
 */
export async function lookUpCarried(
  client: ClientBase,
  warehouse: Warehouse,
  publicationName: string,
  entries: readonly RegistryEntry[],
): Promise<LookedUp> {
  const published = await readPublishedGenerated(client, publicationName)
  const { tables, refused } = await lookUpTablesUnder(client, published, entries)
  const unpublishable = await readUnpublishable(client, published, tables)
  return {
    tables: tables.filter(({ qualifiedName }) => !unpublishable.has(qualifiedName)),
    refused: new Map([...(await sayRenamed(client, warehouse, refused)), ...unpublishable]),
  }
}

/** What tells the catalog from another, as it is now; nothing is changed. */
export async function lookAtCatalog(
  client: ClientBase,
  publicationName: string,
  entries: readonly RegistryEntry[],
): Promise<Pick<Catalog, 'fingerprint' | 'storages'>> {
  const { tables } = await lookUpTables(client, publicationName, entries)
  const memberships = await readMemberships(client, publicationName, tables)
  return { fingerprint: fingerprintOf(tables, memberships), storages: await readStorages(client, tables) }
}

function fingerprintOf(tables: SourceTable[], memberships: Map<string, string>): string {
  const places = tables.map((table) => memberships.get(table.qualifiedName))
  return createHash('sha256')
    .update(JSON.stringify([tables, places]))
    .digest('hex')
}
