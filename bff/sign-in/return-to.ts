import { z } from 'zod'

const maxLength = 2_048
/** Any origin does: it only shows whether the URL parser leaves it. */
const base = 'https://same-origin.invalid'

/**
 * Where to go after the sign-in: a path of this site, with query and fragment.
 *
 * Browsers read a backslash as a slash and drop tabs and newlines (WHATWG URL §4.4), so `/\evil.example` and
 * `/<tab>/evil.example` leave the site; the parser decides, after what it would repair is refused
 * (RFC 9700 §4.11, open redirectors).
 */
export const returnTo = z
  .string()
  .max(maxLength)
  .regex(/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/, 'not a path of this site')
  .refine((path) => {
    const url = URL.parse(path, base)
    // Again on what it resolves to: `/..//evil.example` becomes `//evil.example`.
    return url?.origin === base && !url.pathname.startsWith('//')
  }, 'not a path of this site')
