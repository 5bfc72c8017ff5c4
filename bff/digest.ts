import { hash } from 'node:crypto'

/** What stands in the store for a name or an id that only others may know. */
export const digest = (text: string) => hash('sha256', text, 'base64url')
