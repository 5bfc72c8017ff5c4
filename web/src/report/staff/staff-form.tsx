import type { Problem } from '@tendon/contracts/problem.ts'
import type { CustomerList } from '@tendon/contracts/reports-api.ts'
import { type FormEvent, useState } from 'react'
import { findCustomers, problemOf } from '../../api.ts'
import { NoticeLine } from '../../notice.tsx'
import type { Address } from '../../use-address.ts'
import { isCustomerId } from './customer-id.ts'
import { CustomerMatches } from './customer-matches.tsx'

type StaffFormProps = {
  address: Address
  onSubmit: (address: Address) => void
  onSessionEnd: () => void
}

type Search =
  | { state: 'none' | 'busy' }
  | { state: 'done'; text: string; date: string | null; found: CustomerList }
  | { state: 'failed'; problem: Problem }

/** Staff name a customer by id, or look for them by what they know. */
export function StaffForm({ address, onSubmit, onSessionEnd }: StaffFormProps) {
  const [search, setSearch] = useState<Search>({ state: 'none' })

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = String(form.get('customer')).trim()
    const date = String(form.get('date')) || null
    if (isCustomerId(text)) {
      const view = address.view === 'fleet' ? 'day' : (address.view ?? 'day')
      return onSubmit({ view, userId: text.toLowerCase(), date })
    }
    setSearch({ state: 'busy' })
    try {
      setSearch({ state: 'done', text, date, found: await findCustomers(text) })
    } catch (error) {
      const problem = problemOf(error)
      if (problem.status === 401) onSessionEnd()
      setSearch({ state: 'failed', problem })
    }
  }

  return (
    <form
      className="staff-form"
      onSubmit={submit}
      aria-busy={search.state === 'busy'}
      data-testid="staff-form"
    >
      {address.userId && isCustomerId(address.userId) ? (
        <h2>Another customer's report</h2>
      ) : (
        <>
          <h1>Reports by customer</h1>
          <p>You are signed in as staff. Look for a customer, or give their id.</p>
        </>
      )}
      <div className="fields">
        <label className="field wide">
          Name, e-mail, serial number, chip or id
          <input
            name="customer"
            type="search"
            defaultValue={address.userId ?? ''}
            required
            minLength={2}
            pattern=".*\S.*\S.*"
            title="At least two characters"
            maxLength={100}
            autoComplete="off"
            spellCheck={false}
          />
        </label>
        <label className="field">
          <span>
            Day <span className="optional">(newest if empty)</span>
          </span>
          <input name="date" type="date" defaultValue={address.date ?? ''} />
        </label>
        <button type="submit" className="button" disabled={search.state === 'busy'}>
          Show
        </button>
      </div>
      {address.userId && !isCustomerId(address.userId) && search.state === 'none' && (
        <p role="alert">“{address.userId}” is no customer's id. Look for them by what you know of them.</p>
      )}
      {search.state === 'done' && <CustomerMatches {...search} />}
      {search.state === 'failed' && <NoticeLine problem={search.problem} />}
    </form>
  )
}
