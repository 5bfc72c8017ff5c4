import type { FormEvent } from 'react'
import type { Address } from '../use-address.ts'

type StaffFormProps = { address: Address; onSubmit: (address: Address) => void }

const uuidPattern = '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'

export function StaffForm({ address, onSubmit }: StaffFormProps) {
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const userId = String(form.get('user_id')).trim().toLowerCase()
    onSubmit({
      view: address.view === 'fleet' ? 'day' : (address.view ?? 'day'),
      userId,
      date: String(form.get('date')) || null,
    })
  }

  return (
    <form className="staff-form" onSubmit={submit} data-testid="staff-form">
      {address.userId ? (
        <h2>Another customer's report</h2>
      ) : (
        <>
          <h1>Reports by customer</h1>
          <p>You are signed in as staff. Staff read a report by its customer's id.</p>
        </>
      )}
      <div className="fields">
        <label className="field wide">
          Customer id
          <input
            name="user_id"
            type="text"
            defaultValue={address.userId ?? ''}
            required
            pattern={`\\s*${uuidPattern}\\s*`}
            title="The customer's id in the CRM: five groups of digits and letters a to f, joined by hyphens"
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
        <button type="submit" className="button">
          Show report
        </button>
      </div>
    </form>
  )
}
