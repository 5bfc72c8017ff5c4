/** The customers who have a login of their own in the demo; alice has two prostheses, bob one. */
export const demoPeople = {
  alice: {
    customerId: 'a11ce000-0000-4000-8000-000000000001',
    fullName: 'Alice Lindqvist',
    email: 'alice@example.org',
  },
  bob: {
    customerId: 'b0b00000-0000-4000-8000-000000000002',
    fullName: 'Bob Okonkwo-Jones',
    email: 'bob@example.org',
  },
} as const
