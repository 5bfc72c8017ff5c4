import { reportAdminRole } from '@tendon/contracts/roles.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'

const { alice, bob } = demoPeople

/** Who can sign in at the embedded provider; the sign-in page shows these passwords. */
export const demoLogins = [
  { username: 'alice', password: 'alice', ...patient(alice) },
  { username: 'bob', password: 'bob', ...patient(bob) },
  {
    username: 'staff',
    password: 'staff',
    name: 'Robin of the support desk',
    email: 'staff@example.org',
    customerId: null,
    roles: [reportAdminRole],
  },
]

function patient(person: { customerId: string; fullName: string; email: string }) {
  return {
    name: person.fullName,
    email: person.email,
    customerId: person.customerId,
    roles: ['patient'],
  }
}
