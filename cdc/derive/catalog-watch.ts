import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { ClientBase } from 'pg'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { noteStorages, rewrittenTables } from '../whole-tables/rewritten-tables.ts'
import { readForgotten } from '../whole-tables/snapshot-record.ts'
import { type Catalog, lookAtCatalog } from './catalog.ts'
import { readMissing } from './missing-replicas.ts'

const intervalMs = 10_000

export type CatalogWatch = {
  /** Looks now: the stream has described a table again, as it does after DDL. */
  look(): void
  /** Looks, and resolves when the catalog is the same still. Whoever waits while it is not, waits for the session's end. */
  confirm(): Promise<void>
  /** @throws TENDON-CDC-011 when the catalog has changed, TENDON-CDC-035 when a replica is to be made again */
  run(): Promise<never>
}

/**
 * Sees what the rows of the stream do not show: a table or a column made anew under its old name, a table taken out
 * of the publication, a publication dropped, a table rewritten.
 */
export function createCatalogWatch(options: {
  source: ClientBase
  warehouse: Warehouse
  catalog: Catalog
  publicationName: string
  readEntries: () => Promise<RegistryEntry[]>
  signal: AbortSignal
}): CatalogWatch {
  const { source, warehouse, catalog, publicationName, readEntries, signal } = options
  let { storages } = catalog
  let isDue = false
  let wake: (() => void) | undefined
  let asking: (() => void)[] = []

  function nextLook(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, intervalMs)
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    wake = resolve
    if (isDue) resolve()
    return promise.finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    })
  }

  /** What is stored otherwise and was not rewritten, is noted, and the session goes on. */
  async function isOneRewritten(now: Catalog['storages']): Promise<boolean> {
    if ((await rewrittenTables(source, warehouse, storages, now)).length > 0) return true
    await noteStorages(warehouse, storages, now)
    storages = now
    return false
  }

  /** Whether a command has said that one of the tables is to be read again. */
  async function isOneForgotten(before: Map<string, string>): Promise<boolean> {
    const forgotten = await readForgotten(warehouse)
    return catalog.replicas.some(({ source: { qualifiedName: name } }) => {
      return forgotten.get(name) !== undefined && forgotten.get(name) !== before.get(name)
    })
  }

  function look(): void {
    isDue = true
    wake?.()
  }

  return {
    look,
    confirm() {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      asking.push(resolve)
      look()
      return promise
    },
    async run() {
      const forgotten = await readForgotten(warehouse)
      for (;;) {
        signal.throwIfAborted()
        await nextLook()
        isDue = false
        const asked = asking
        asking = []
        const found = await lookAtCatalog(source, publicationName, await readEntries())
        if (found.fingerprint !== catalog.fingerprint || (await isOneRewritten(found.storages))) {
          throw cdcErrors.schemaChanged('The catalog of the CRM database, or the registry, has changed.')
        }
        if (await isOneForgotten(forgotten)) throw cdcErrors.schemaChanged('A table is to be read again.')
        const [missing] = (await readMissing(warehouse, catalog.replicas)).values()
        if (missing) throw missing
        for (const resolve of asked) resolve()
      }
    },
  }
}
