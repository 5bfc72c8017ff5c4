import type { FormEvent } from 'react'

/** Staff name somebody whose sessions are to end, as when a device was lost. */
export function SignOutForm(props: { isBusy: boolean; onSubmit: (username: string) => void }) {
  const { isBusy, onSubmit } = props

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    onSubmit(String(new FormData(event.currentTarget).get('username')).trim())
  }

  return (
    <form className="fields" aria-label="Sign another person out everywhere" onSubmit={submit}>
      <label className="field wide">
        Another person's user name
        <input
          name="username"
          type="text"
          required
          pattern=".*\S.*"
          maxLength={100}
          autoComplete="off"
          spellCheck={false}
        />
      </label>
      <button type="submit" className="button quiet" disabled={isBusy}>
        Sign them out
      </button>
    </form>
  )
}
