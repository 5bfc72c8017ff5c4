import { inPlainWords } from '@tendon/contracts/plain-words.ts'
import type { Problem } from '@tendon/contracts/problem.ts'
import { webErrors } from '../errors.ts'

type NoticeProps = { problem: Problem; onRetry: () => void }

/** What a gateway answers while something behind it starts, is busy or is down (RFC 9110 §15.6.3 to 15.6.5). */
const passingStatuses = [502, 503, 504]

/** A problem in plain words. One that passes is told as that. */
export function Notice({ problem, onRetry }: NoticeProps) {
  const [heading, text] = told(problem)
  return (
    <section className="notice" data-testid="problem" data-code={problem.code}>
      {/* Without the request, which is another one each time: it would be read out again with each try. */}
      <div role="alert">
        <h1>{heading}</h1>
        <p>{text}</p>
      </div>
      <p className="fine-print">
        Code {problem.code}
        {problem.request_id && `, request ${problem.request_id}`}
      </p>
      <button type="button" className="button" onClick={onRetry}>
        Try again
      </button>
    </section>
  )
}

function told(problem: Problem): [heading: string, text: string] {
  const { title, advice } = inPlainWords(problem)
  // Which is no outage of ours, and which the reader can do something about.
  if (problem.code === webErrors.unreachable.code) return [title, `${advice} ${keepsTrying}`]
  if (passingStatuses.includes(problem.status)) return ['Back in a moment', `${title}. ${keepsTrying}`]
  return [title, advice]
}

const keepsTrying = 'This page keeps trying by itself.'

/** The same in a line, where something else stays on the screen. */
export function NoticeLine({ problem }: { problem: Problem }) {
  const { title, advice } = inPlainWords(problem)
  return (
    <p role="alert" data-testid="problem" data-code={problem.code}>
      That did not work: {title}. {advice} <span className="fine-print">(Code {problem.code})</span>
    </p>
  )
}
