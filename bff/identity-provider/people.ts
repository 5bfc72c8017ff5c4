import { digest, isDigestOf } from '../sessions/digest.ts'

/** Somebody who can sign in at the embedded provider. */
export type Person = {
  username: string
  password: string
  name: string
  email: string
  /** The CRM customer whose reports this login may read; null for staff. */
  customerId: string | null
  roles: string[]
}

/** The person whose name and password these are. The time it takes does not tell a wrong name from a wrong password. */
export function authenticate(people: Person[], username: string, password: string): Person | undefined {
  const person = people.find((candidate) => candidate.username === username)
  const matches = isDigestOf(digest(person?.password ?? ''), password)
  return person && matches ? person : undefined
}
