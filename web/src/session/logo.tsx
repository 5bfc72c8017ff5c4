/** Three fibres between two joints. The name stands beside it as text. */
export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">
      <g fill="none" stroke="currentColor" strokeWidth="1.75" strokeLinecap="round">
        <path d="M6 26C6 14 14 18 16 16S18 6 26 6" />
        <path d="M6 26C11 26 13 20 16 16S21 6 26 6" opacity=".6" />
        <path d="M6 26C16 28 15 20 16 16S16 4 26 6" opacity=".6" />
      </g>
      <circle cx="6" cy="26" r="3.5" fill="currentColor" />
      <circle cx="26" cy="6" r="3.5" fill="currentColor" />
    </svg>
  )
}
