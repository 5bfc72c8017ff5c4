import type { Problem } from '@tendon/contracts/problem.ts'

type NoticeProps = { problem: Problem; onRetry: () => void }

/** What a gateway answers while something behind it starts, is busy or is down (RFC 9110 §15.6.3 to 15.6.5). */
const passingStatuses = [502, 503, 504]

/** A problem in plain words. One that passes is told as that, with the details for whoever wants them. */
export function Notice({ problem, onRetry }: NoticeProps) {
  const passes = passingStatuses.includes(problem.status)
  const details = (
    <>
      {problem.detail && <p>{problem.detail}</p>}
      {problem.help && <p>{problem.help}</p>}
      <p className="fine-print">
        Code {problem.code}
        {problem.request_id && `, request ${problem.request_id}`}
      </p>
    </>
  )
  return (
    <section className="notice" role="alert" data-testid="problem" data-code={problem.code}>
      <h1>{passes ? 'Back in a moment' : problem.title}</h1>
      {passes ? (
        <>
          <p>Your report cannot be shown right now. This page keeps trying by itself.</p>
          <details>
            <summary>{problem.title}</summary>
            {details}
          </details>
        </>
      ) : (
        details
      )}
      <button type="button" className="button" onClick={onRetry}>
        Try again
      </button>
    </section>
  )
}
