import type { CustomerList } from '@tendon/contracts/reports-api.ts'
import { hrefOf } from '../../use-address.ts'

/** Whom a search has found, each a link to their report. */
export function CustomerMatches(props: { text: string; found: CustomerList; date: string | null }) {
  const { text, found, date } = props
  const { customers, is_cut: isCut } = found
  return (
    <>
      <p role="status" data-testid="search-outcome">
        {outcomeOf(text, customers.length, isCut)}
      </p>
      {customers.length > 0 && (
        <ul className="matches">
          {customers.map(({ user_id: userId, full_name, email }) => (
            <li key={userId}>
              <a href={hrefOf({ view: 'day', userId, date })}>{full_name}</a>{' '}
              <span className="fine-print">{email}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function outcomeOf(text: string, count: number, isCut: boolean): string {
  if (count === 0) return `Nobody was found for “${text}”. A serial number, chip or id has to be whole.`
  if (isCut) return `The first ${count} for “${text}”; add to it to find fewer.`
  return count === 1 ? `One customer for “${text}”:` : `${count} customers for “${text}”:`
}
