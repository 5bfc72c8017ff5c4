import { writeFileSync } from 'node:fs'
import { errorPage, errorPagePath } from './error-page.ts'

writeFileSync(errorPagePath, await errorPage())
