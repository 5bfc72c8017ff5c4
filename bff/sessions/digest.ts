import { hash, timingSafeEqual } from 'node:crypto'

/** What stands in the store for a name or an id that only others may know. */
export const digest = (text: string) => hash('sha256', text, 'base64url')

/** Whether this is the digest of a secret. The time it takes does not tell how much of it is right. */
export const isDigestOf = (digested: string, secret: string) =>
  timingSafeEqual(Buffer.from(digest(secret)), Buffer.from(digested))
