import { z } from 'zod'

// zod compiles object parsers with `new Function`, which the page's Content-Security-Policy forbids and reports.
// It decides when a schema is made, so this module is imported before the contracts.
z.config({ jitless: true })
