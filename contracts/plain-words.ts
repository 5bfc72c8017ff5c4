/**
 * What the pages say of an error, to people who have a prosthesis and not a data centre. Its code stands below it; the
 * words of an operator are in the log, and in docs/errors.md under the code.
 */
export type PlainWords = {
  /** What is not possible now, without its full stop. */
  title: string
  /** What the reader can do. */
  advice: string
}

const tellTheCode = 'If it happens again, tell us the code.'
const askWhoGaveIt = 'If you think you should, ask whoever gave you this login.'
const notNow = { title: 'Your data cannot be reached just now', advice: 'Please try again in a minute.' }
const whoYouAre = {
  title: 'We cannot check who you are just now',
  advice: 'Please try again in a minute. You need not sign in again for it.',
}
const mayNot = { title: 'This login may not see that', advice: askWhoGaveIt }
const asksAnew = {
  title: 'The report has to be asked for again',
  advice: `Please reload the page. ${tellTheCode}`,
}

/** By the error's code; who has none here has the words of its HTTP status. */
export const plainWords: Readonly<Record<string, PlainWords>> = {
  'TENDON-BFF-003': {
    title: 'This sign-in has expired or was already used',
    advice: 'Please start again.',
  },
  'TENDON-BFF-004': {
    title: 'This sign-in was begun in another browser',
    advice: 'Please start again in this one.',
  },
  'TENDON-BFF-005': { title: 'This login was not let in', advice: `Please start again. ${askWhoGaveIt}` },
  'TENDON-BFF-006': { title: 'Signing in did not work', advice: `Please start again. ${tellTheCode}` },
  'TENDON-BFF-007': whoYouAre,
  'TENDON-BFF-008': notNow,
  'TENDON-BFF-009': notNow,
  'TENDON-BFF-015': mayNot,
  'TENDON-BFF-016': {
    title: 'Too many tries in a short time',
    advice: 'Please wait a minute, then try again.',
  },
  'TENDON-BFF-018': mayNot,
  'TENDON-CDN-001': asksAnew,
  'TENDON-CDN-002': asksAnew,
  'TENDON-CDN-004': notNow,
  'TENDON-PLATFORM-002': {
    title: 'There is no such page',
    advice: 'Check the address, or begin with the reports.',
  },
  'TENDON-PLATFORM-008': whoYouAre,
  'TENDON-PLATFORM-011': notNow,
  'TENDON-PLATFORM-012': notNow,
  'TENDON-REPORTS-001': { title: 'There is no such day', advice: 'Please choose another day.' },
  'TENDON-REPORTS-002': {
    title: 'That day has not come yet',
    advice: 'Please choose today, or a day before it.',
  },
  'TENDON-REPORTS-004': mayNot,
  'TENDON-REPORTS-005': mayNot,
  'TENDON-REPORTS-006': mayNot,
  'TENDON-REPORTS-007': notNow,
  'TENDON-REPORTS-008': {
    title: 'The report is just being made anew',
    advice: 'Please try again in a minute.',
  },
  'TENDON-REPORTS-011': {
    title: 'Many people ask for their reports just now',
    advice: 'Please try again in a minute.',
  },
  'TENDON-REPORTS-012': {
    title: 'There is no such customer',
    advice: 'Check the id; whoever was entered just now is found within a minute.',
  },
  'TENDON-WEB-001': {
    title: 'No connection',
    advice: 'Check your internet connection. If that works, the trouble is ours.',
  },
  'TENDON-WEB-002': {
    title: 'This page does not understand the answer',
    advice: `Reload the page to get its newest version. ${tellTheCode}`,
  },
}

/** @param problem as it was answered, by whomever: what stands in front of Tendon has no code of ours */
export function inPlainWords({ code, status }: { code: string; status: number }): PlainWords {
  const words = plainWords[code]
  if (words) return words
  if (status >= 502 && status <= 504) return notNow
  if (status >= 500)
    return { title: 'Something went wrong on our side', advice: `Please try again. ${tellTheCode}` }
  return { title: 'That could not be done', advice: `Please reload the page and try again. ${tellTheCode}` }
}
