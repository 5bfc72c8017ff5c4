import { createLog } from '@tendon/platform/log.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { applyReplica } from '../apply.ts'
import { readCatalog } from '../catalog.ts'
import { registry } from '../registry.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'

export const apply = defineCommand({
  name: 'apply',
  summary: 'Bring the publication, the replicas and their views to the registry and the catalog',
  options: commandOptions,
  async act(config, { source, warehouse }) {
    // Standard output carries the answer alone.
    const log = createLog({ service: 'cdc' }, process.stderr)
    await applyMigrations(warehouse)
    const { replicas } = await readCatalog(source, config.publicationName, registry)
    for (const replica of replicas) await applyReplica(source, warehouse, replica, log)
    const names = replicas.map(({ source: table }) => table.qualifiedName)
    print(config, { tables: names }, names.map((name) => `${name} is in place\n`).join(''))
    return exitCodes.done
  },
})
