import type { TendonError } from '@tendon/platform/errors.ts'

/** What is wrong, in the same words wherever it is said. `help` says what to do. */
export type Problem = { code: string; detail: string; help: string }

export const problemOf = ({ code, message, definition }: TendonError): Problem => ({
  code,
  detail: message,
  help: definition.help,
})

/** Lines for people, as wide as the rest of a report. */
export const describeProblem = ({ code, detail, help }: Problem) =>
  `problem   ${code}: ${detail}\n          what to do: ${help}\n`

export const describeAdvice = (text: string) => `advice    ${text}\n`
