import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { QuarantinedRow } from '../measure/chip-measurer.ts'
import type { Scope } from '../measure/scope.ts'
import type { UserDays } from '../measure/user-days.ts'
import { readStandingQuarantine } from './quarantine.ts'
import { readStandingStats } from './standing-stats.ts'
import { readStandingUnowned, type UnownedDay } from './unowned.ts'

/** All that a batch is compared with; what is known by chip is under its key. */
export type Standing = {
  stats: UserDays
  quarantine: Map<string, QuarantinedRow>
  unowned: Map<string, UnownedDay>
}

/** What stands within a scope. */
export async function readStanding(warehouse: Warehouse, scope: Scope): Promise<Standing> {
  const [stats, quarantine, unowned] = await Promise.all([
    readStandingStats(warehouse, scope),
    readStandingQuarantine(warehouse, scope),
    readStandingUnowned(warehouse, scope),
  ])
  return { stats, quarantine, unowned }
}
