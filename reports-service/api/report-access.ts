import { reportAdminRole } from '@tendon/contracts/roles.ts'
import type { Caller } from '@tendon/platform/access-token.ts'
import type { Report } from '../declarations/report.ts'
import { reportsErrors } from '../errors.ts'

const invalidatorRole = 'report-invalidator'

/**
 * Whose reports this call is about: the customer in the token, and nobody else unless the token says
 * `report-admin`.
 * @param requested the `user_id` parameter, a lower-case UUID
 * @throws TENDON-REPORTS-004 for another user's, -005 when the token names no customer
 */
export function reportOwner(caller: Caller, requested: string | undefined): string {
  if (requested !== undefined) {
    if (requested === caller.customerId || caller.roles.includes(reportAdminRole)) return requested
    throw reportsErrors.otherUsersReport('This token does not allow reading the reports of that user.')
  }
  if (caller.customerId === undefined) {
    throw reportsErrors.customerMissing(
      'This token belongs to no customer, so there is no report of its own.',
    )
  }
  return caller.customerId
}

/** Whose data a report is of. */
export function subjectOf(report: Report): 'customer' | 'everybody' {
  return report.invalidatedBy === 'customer' ? 'customer' : 'everybody'
}

export function mayRead(caller: Caller, report: Report): boolean {
  return caller.roles.includes(reportAdminRole) || report.readers.some((role) => caller.roles.includes(role))
}

/** @throws TENDON-REPORTS-006 */
export function assertMayRead(caller: Caller, report: Report): void {
  if (!mayRead(caller, report)) {
    throw reportsErrors.roleMissing(`This token has none of the roles that may read ${report.name}.`)
  }
}

/** @throws TENDON-REPORTS-006 */
export function assertMayFindCustomers(caller: Caller): void {
  if (!caller.roles.includes(reportAdminRole)) {
    throw reportsErrors.roleMissing(`Looking for customers needs the role ${reportAdminRole}.`)
  }
}

/** @throws TENDON-REPORTS-006 */
export function assertMayInvalidate(caller: Caller): void {
  if (!caller.roles.includes(invalidatorRole)) {
    throw reportsErrors.roleMissing(`Invalidating needs the role ${invalidatorRole}.`)
  }
}
