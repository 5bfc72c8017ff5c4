import { ConfigError } from '@tendon/platform/config.ts'
import { dropReplica } from '../derive/apply.ts'
import { removeFromPublication } from '../derive/derive-publication.ts'
import { replicaName } from '../derive/derive-table.ts'
import { removeKnownTable } from '../derive/known-tables.ts'
import { registry } from '../registry.ts'
import { withApplyLock } from '../source/advisory-lock.ts'
import { forgetSnapshot } from '../whole-tables/snapshot-record.ts'
import { commandOptions, defineCommand, entriesOf, exitCodes, print } from './command.ts'

export const remove = defineCommand({
  name: 'remove',
  operands: '<schema.table>',
  summary: 'Carry a table no more that was added, and drop its replica; its changes stay in the log',
  options: commandOptions,
  async act(config, { source, warehouse, operands }) {
    const { name } = (await entriesOf(warehouse, operands[0]))[0]!
    if (registry.some((declared) => declared.name === name))
      throw new ConfigError('cdc remove', [`${name} is declared in cdc/registry.ts: take it out there`])
    const dot = name.indexOf('.')
    const table = { schema: name.slice(0, dot), name: name.slice(dot + 1) }
    await withApplyLock(source, config.slotName, async () => {
      // First, so that a feed that looks again does not bring it back.
      await removeKnownTable(warehouse, name)
      await removeFromPublication(source, config.publicationName, table)
      await forgetSnapshot(warehouse, name)
      await dropReplica(warehouse, { name: replicaName(table) })
    })
    print(config, { table: name, removed: true }, `${name} is carried no more\n`)
    return exitCodes.done
  },
})
