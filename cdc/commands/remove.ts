import { ConfigError } from '@tendon/platform/config.ts'
import { removeKnownTable } from '../derive/known-tables.ts'
import { readReadersProblem, takeOut } from '../derive/take-out.ts'
import { registry } from '../registry.ts'
import { withApplyLock } from '../source/advisory-lock.ts'
import { commandOptions, defineCommand, entriesOf, exitCodes, print } from './command.ts'

export const remove = defineCommand({
  name: 'remove',
  operands: '<schema.table>',
  summary: 'Carry a table no more that was added, and drop its replica; its changes stay in the log',
  options: commandOptions,
  async act(config, { source, warehouse, operands }) {
    const { name } = (await entriesOf(warehouse, operands[0]))[0]!
    if (registry.some((declared) => declared.name === name))
      throw new ConfigError('cdc remove', [
        `${name} is declared in cdc/registry.ts: take it out there, then run cdc apply`,
      ])
    await withApplyLock(source, config.slotName, async () => {
      const others = (await entriesOf(warehouse, undefined)).filter((entry) => entry.name !== name)
      const problem = await readReadersProblem(warehouse, others, name)
      if (problem) throw problem
      // First, so that a feed that looks again does not bring it back.
      await removeKnownTable(warehouse, name)
      await takeOut(source, warehouse, config.publicationName, name)
    })
    print(config, { table: name, removed: true }, `${name} is carried no more\n`)
    return exitCodes.done
  },
})
