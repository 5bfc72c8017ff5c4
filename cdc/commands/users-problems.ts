import type { TendonError } from '@tendon/platform/errors.ts'
import { unknownTable, type Warehouse } from '@tendon/warehouse/client.ts'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { readTellingProblems } from '../telling/telling-notes.ts'
import { readUsersProblem } from '../telling/users-problem.ts'

/**
 * What keeps a feed from finding whom changes concern, or from telling them. Each is said once: a SELECT that reads a replica which
 * is missing is said as that, and what a worker has noted of a SELECT is what the SELECT itself answers here.
 * @param entries of tables that were read: only then is there all that the feed makes
 * @param missing replicas that are not there, as `crm.<table>`
 */
export async function readUsersProblems(
  warehouse: Warehouse,
  feed: string,
  entries: readonly RegistryEntry[],
  missing: ReadonlySet<string>,
): Promise<TendonError[]> {
  const answers = await Promise.all(entries.map((entry) => readUsersProblem(warehouse, entry)))
  const refused = answers.filter((problem) => problem !== undefined)
  const notes = await readTellingProblems(warehouse, feed)
  return [
    ...refused.filter(({ cause }) => !missing.has(unknownTable(cause) ?? '')),
    ...notes.filter(({ code }) => refused.length === 0 || code !== cdcErrors.usersRefused.code),
  ]
}
