import { type Address, hrefOf, type View } from '../use-address.ts'

/** Links from one view to the others; real ones, so that they can be opened in a tab of their own. */
export function ViewLinks(props: {
  label: string
  views: readonly { view: View; label: string }[]
  current: View
  address: Address
  onAddress: (address: Address) => void
}) {
  const { label, views, current, address, onAddress } = props
  return (
    <nav className="view-links" aria-label={label}>
      {views.map(({ view, label }) => {
        // The day stays: it is of interest in the other views too.
        const next = { ...address, view }
        return (
          <a
            key={view}
            href={hrefOf(next)}
            aria-current={view === current ? 'page' : undefined}
            onClick={(event) => {
              if (event.metaKey || event.ctrlKey || event.shiftKey) return
              event.preventDefault()
              onAddress(next)
            }}
          >
            {label}
          </a>
        )
      })}
    </nav>
  )
}
