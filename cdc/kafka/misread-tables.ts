import type { Warehouse } from '@tendon/warehouse/client.ts'
import { cdcErrors } from '../errors.ts'
import { highest } from '../highest.ts'
import { forgetSnapshot, readFinishedSnapshots, readFloor } from '../whole-tables/snapshot-record.ts'
import type { ChangeMessage } from './change-message.ts'

export type MisreadTables = {
  /** A change that was told by names of another time: which values are whose cannot be known. */
  note(change: Pick<ChangeMessage, 'table' | 'version'>): Promise<void>
  /**
   * Has tables read again that were last read before such a change. Of one that is being read its record will tell.
   * @throws TENDON-CDC-011 when there was one
   */
  settle(): Promise<void>
}

export function createMisreadTables(warehouse: Warehouse): MisreadTables {
  /** The newest of a table's. */
  const misread = new Map<string, bigint>()

  async function settle(): Promise<void> {
    if (misread.size === 0) return
    const read = await readFinishedSnapshots(warehouse)
    for (const [table, version] of misread) {
      if (!read.get(table)) continue
      misread.delete(table)
      if (version < (await readFloor(warehouse, table))) continue
      await forgetSnapshot(warehouse, table)
      throw cdcErrors.schemaChanged(`${table} had columns by other names.`)
    }
  }

  return {
    async note({ table, version }) {
      misread.set(table, highest(version, misread.get(table)))
      await settle()
    },
    settle,
  }
}
