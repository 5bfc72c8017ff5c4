import type { Warehouse } from '@tendon/warehouse/client.ts'

/**
 * A warehouse that is gone for good after some calls: to the run it is as if its process had been killed. Says how many it
 * has had.
 */
export function mortal(
  warehouse: Warehouse,
  death: { afterCalls: number; isLastDone: boolean },
): Warehouse & { calls(): number } {
  let calls = 0
  const call = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    calls += 1
    if (calls > death.afterCalls + 1 || (calls > death.afterCalls && !death.isLastDone))
      throw new Error('dead')
    const result = await work()
    if (calls > death.afterCalls) throw new Error('dead')
    return result
  }
  return {
    ...warehouse,
    calls: () => calls,
    query: (query, params) => call(() => warehouse.query(query, params)),
    insertRows: (table, rows) => call(() => warehouse.insertRows(table, rows)),
    insertLines: (table, data, format) => call(() => warehouse.insertLines(table, data, format)),
  }
}
