import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChdbServer, startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { crmReplicas } from '@tendon/warehouse/crm-replicas.fixture.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'

export type TestWarehouse = {
  server: ChdbServer
  warehouse: Warehouse
  /** A folder that is removed with the warehouse. */
  folder: string
  /** Stores the customer's row in its next version. */
  putCustomer(id: string, fullName: string): Promise<void>
  /** A new customer with one prosthesis since 2026-01-01. */
  addCustomer(fullName: string): Promise<string>
  /** Resolves when the server is up again after a death. */
  restarted(): Promise<void>
  remove(): Promise<void>
}

/** A warehouse with all migrations and empty replicas, for one test file. */
export async function startTestWarehouse(): Promise<TestWarehouse> {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-reports-'))
  let onRestart = () => {}
  const server = await startChdbServer({
    dataPath: join(folder, 'clickhouse'),
    onRestart: () => onRestart(),
  })
  const warehouse = createWarehouse(server)
  await applyMigrations(warehouse)
  for (const table of crmReplicas) await warehouse.command(table)
  await warehouse.insertRows('crm.prosthesis_models', [
    { id: 1, name: 'Grip 3', kind: 'hand', _version: '1' },
  ])

  let version = 1
  const putCustomer = (id: string, fullName: string) => {
    version += 1
    return warehouse.insertRows('crm.customers', [{ id, full_name: fullName, _version: String(version) }])
  }
  return {
    server,
    warehouse,
    folder,
    putCustomer,
    async addCustomer(fullName) {
      const id = randomUUID()
      await putCustomer(id, fullName)
      await warehouse.insertRows('crm.prostheses', [
        { id: randomUUID(), customer_id: id, model_id: 1, issued_at: '2026-01-01', _version: '1' },
      ])
      return id
    },
    restarted: () =>
      new Promise((resolve) => {
        onRestart = resolve
      }),
    async remove() {
      await warehouse.close()
      await server.stop()
      await rm(folder, { recursive: true })
    },
  }
}
